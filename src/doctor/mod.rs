//! What is wrong with the set-up, why, how to mend it, and where in WeCom's console.
//!
//! Each check looks at one thing and gives one finding; the order is that in which an administrator mends. The checks
//! join WeCom, the model and the store as `chat` does, and know nothing of `chat`.
