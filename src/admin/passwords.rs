//! Passwords: which are taken, and how they are kept.
//!
//! Argon2id with the costs that OWASP's cheat sheet on password storage names for 19 MiB. Each is worked on a thread of
//! its own kind, one at a time for those who were here before and one for everybody else, so that strangers who try
//! passwords take at most that much memory, and keep nobody waiting who is known.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::guessable::is_guessable;
use crate::{
    model::operator::{OperatorName, PasswordHash},
    secret::Secret,
    store,
};

/// How much work a hash is; in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    /// Kibibytes.
    memory: u32,
    /// How often they are gone through.
    passes: u32,
}

/// Of a new hash.
const COSTS: Costs = Costs { memory: 19 * 1024, passes: 2 };
/// The most that is done for a stored hash, whatever it says.
const MOST: Costs = Costs { memory: 64 * 1024, passes: 8 };
/// Bytes of salt and hash.
const SALT: usize = 16;
const HASH: usize = 32;
/// Blocks of a kibibyte that are asked for at once, of which only those of the costs are ever touched. Beyond 32 MiB the
/// system's allocator gives memory that goes back to the system at once when it is freed, and does not learn from it.
const RESERVED: usize = 33 * 1024;
/// What is worked through for a name that nobody has: no password is found in it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// How many may wait for their turn in each queue.
const WAITING: usize = 32;

/// The shortest password, in characters.
pub const SHORTEST: usize = 12;
/// The longest, in bytes: more is no password but work.
const LONGEST: usize = 512;
/// Of names so short that many words hold them, it is not asked.
const SHORTEST_NAME: usize = 3;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// It is too short.
    #[error(
        "a password has at least {SHORTEST} characters; a few words that do not belong together are easy to remember"
    )]
    Short,
    /// It is too long.
    #[error("a password has at most {LONGEST} bytes")]
    Long,
    /// It holds the name.
    #[error("the name must not be in the password")]
    HoldsName,
    /// Many people have it.
    #[error("this is one of the passwords that are tried first, or is made as they are; take one that is yours")]
    Common,
}

/// Looks whether a password may be set by this operator. There are no rules for what letters it has.
///
/// # Errors
/// [`Weak`] says what is in the way.
pub fn check(password: &Secret<String>, name: &OperatorName) -> Result<(), Weak> {
    let password = password.expose();
    if password.len() > LONGEST {
        return Err(Weak::Long);
    }
    if password.chars().count() < SHORTEST {
        return Err(Weak::Short);
    }
    let small = password.to_lowercase();
    if name.as_str().len() >= SHORTEST_NAME && small.contains(name.as_str()) {
        return Err(Weak::HoldsName);
    }
    if is_guessable(&small) { Err(Weak::Common) } else { Ok(()) }
}

/// Whose password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Of somebody who was here before, or has a code.
    Known,
    /// Of anybody.
    Others,
}

/// As many wait as may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

/// Works on passwords, two at a time.
#[derive(Debug)]
pub(super) struct Passwords {
    known: Lane,
    others: Lane,
}

#[derive(Debug)]
struct Lane {
    turn: Arc<Semaphore>,
    places: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        let lane = || Lane { turn: Arc::new(Semaphore::new(1)), places: Semaphore::new(WAITING) };
        Self { known: lane(), others: lane() }
    }
}

impl Passwords {
    /// Whether this is the password of the hash. Without a hash it is not, after the same work.
    pub(super) async fn is(
        &self,
        queue: Queue,
        password: &Secret<String>,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Full> {
        let is_somebodys = hash.is_some();
        let hash = hash.map_or_else(|| NOBODYS.to_owned(), |hash| hash.expose().clone());
        let password = password.clone();
        let is_it = self.work(queue, move || verify(&password, &hash)).await?;
        Ok(is_it && is_somebodys)
    }

    /// What is to be kept of a password.
    pub(super) async fn hash(&self, queue: Queue, password: &Secret<String>) -> Result<PasswordHash, HashError> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| HashError::Store(store::Error::NoRandomBytes))?;
        let password = password.clone();
        let text = self.work(queue, move || new_hash(&password, salt)).await.map_err(|Full| HashError::Full)?;
        text.map(PasswordHash::new).ok_or_else(|| HashError::Store(store::Error::Corrupt("argon2".to_owned())))
    }

    async fn work<T, F>(&self, queue: Queue, work: F) -> Result<T, Full>
    where
        T: Default + Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let lane = match queue {
            Queue::Known => &self.known,
            Queue::Others => &self.others,
        };
        let _place = lane.places.try_acquire().map_err(|_| Full)?;
        // Never closed.
        let turn: OwnedSemaphorePermit = Arc::clone(&lane.turn).acquire_owned().await.map_err(|_| Full)?;
        let worked = tokio::task::spawn_blocking(move || {
            // Whoever asked may go; the memory is taken until the work is done.
            let _turn = turn;
            work()
        });
        // What panics has said nothing good.
        Ok(worked.await.unwrap_or_default())
    }
}

/// Why there is no hash.
#[derive(Debug)]
pub(super) enum HashError {
    /// As many wait as may.
    Full,
    /// The system gives no random bytes.
    Store(store::Error),
}

fn new_hash(password: &Secret<String>, salt: [u8; SALT]) -> Option<String> {
    let Costs { memory, passes } = COSTS;
    let mut hash = [0; HASH];
    derive(password, &salt, COSTS, &mut hash)?;
    let (salt, hash) = (BASE64.encode(salt), BASE64.encode(hash));
    Some(format!("$argon2id$v=19$m={memory},t={passes},p=1${salt}${hash}"))
}

/// What cannot be read is nobody's password.
fn verify(password: &Secret<String>, text: &str) -> bool {
    let Some((costs, salt, hash)) = read(text) else { return false };
    let mut given = [0; HASH];
    derive(password, &salt, costs, &mut given).is_some() && given.ct_eq(&hash).into()
}

fn read(text: &str) -> Option<(Costs, Vec<u8>, [u8; HASH])> {
    let rest = text.strip_prefix("$argon2id$v=19$m=")?;
    let (memory, rest) = rest.split_once(",t=")?;
    let (passes, rest) = rest.split_once(",p=1$")?;
    let (salt, hash) = rest.split_once('$')?;
    let costs = Costs { memory: memory.parse().ok()?, passes: passes.parse().ok()? };
    let fits = costs.memory <= MOST.memory && costs.passes <= MOST.passes;
    fits.then_some((costs, BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?.try_into().ok()?))
}

fn derive(password: &Secret<String>, salt: &[u8], costs: Costs, hash: &mut [u8; HASH]) -> Option<()> {
    let params = Params::new(costs.memory, costs.passes, 1, Some(HASH)).ok()?;
    let mut blocks: Vec<Block> = Vec::with_capacity(RESERVED);
    blocks.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, hash, &mut blocks).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_password_is_found_again_and_no_other() {
        let kept = new_hash(&secret("correct horse battery"), [7; SALT]).expect("a hash");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(verify(&secret("correct horse battery"), &kept));
        for wrong in ["correct horse batterz", "", "correct horse battery "] {
            assert!(!verify(&secret(wrong), &kept), "{wrong}");
        }
        for broken in ["", "$argon2id$", &kept.replace("m=19456", "m=99999999"), &kept.replace("argon2id", "argon2i")] {
            assert!(!verify(&secret("correct horse battery"), broken), "{broken}");
        }
        assert!(read(NOBODYS).is_some_and(|(costs, ..)| costs == COSTS), "the same work for nobody");
    }

    /// Of `argon2 -id -t 2 -m 16 -p 1` of the reference implementation, with these words.
    #[test]
    fn the_hash_is_that_of_everybody() {
        let mut hash = [0; HASH];
        derive(&secret("password"), b"somesalt", Costs { memory: 65536, passes: 2 }, &mut hash).expect("a hash");
        assert_eq!(hex::encode(hash), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn passwords_that_are_tried_first_are_not_taken() {
        let name = OperatorName::parse("zhangsan").expect("name");
        for (password, weak) in [
            ("elf zeichen", Some(Weak::Short)),
            ("十二个汉字也是一个好密码", None),
            ("十一个汉字还不够长啊呀", Some(Weak::Short)),
            ("my ZhangSan is good", Some(Weak::HoldsName)),
            ("Password1234", Some(Weak::Common)),
            ("aaaaaaaaaaaaaaaa", Some(Weak::Common)),
            ("qimate@admin-2026", Some(Weak::Common)),
            ("correct horse battery", None),
            (&"a phrase that goes on, ".chars().cycle().take(100).chain("and ends".chars()).collect::<String>(), None),
            (&"x y".repeat(200), Some(Weak::Long)),
        ] {
            assert_eq!(check(&secret(password), &name).err(), weak, "{password}");
        }
        let short = OperatorName::parse("li").expect("name");
        assert_eq!(check(&secret("a lifely orange boat"), &short), Ok(()));
    }
}
