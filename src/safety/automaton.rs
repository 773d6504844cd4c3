//! Many words looked for at once, one character at a time (Aho and Corasick).
//!
//! Written here, since what a stream needs is how much of a word is open at this moment: so much is held back, and no
//! more.

use std::collections::{HashMap, VecDeque};

use super::rules::Action;

/// A place in the automaton. 0 is the beginning: nothing of any word.
pub(super) type State = u32;

/// Sixteen bits in words of 64.
const FIRST_WORDS: usize = (1 << 16) / 64;

/// A word that ends at a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its length in characters.
    pub(super) length: usize,
    /// What is done about it.
    pub(super) action: Action,
    /// It begins, or ends, with an ASCII letter or digit: it must not stand within a longer word.
    pub(super) bounded: [bool; 2],
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The longest other beginning of a word that ends here.
    fail: State,
    depth: usize,
    /// How many characters may still become a word: none of a word that is whole and begins no longer one.
    open: usize,
    word: Option<Found>,
    /// The longest other word that ends here; 0: none.
    shorter: State,
}

/// The words.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
    edges: HashMap<(State, char), State>,
    longest: usize,
    /// A bit for each character that a word may begin with, by its last sixteen bits: most characters begin none.
    first: Box<[u64]>,
}

impl Automaton {
    /// Of words that are folded already. A word that is there twice has the stricter action.
    pub(super) fn new<'w>(words: impl IntoIterator<Item = (&'w [char], Action)>) -> Self {
        let mut automaton =
            Self { nodes: vec![Node::default()], edges: HashMap::new(), longest: 0, first: Box::default() };
        for (word, action) in words {
            automaton.insert(word, action);
        }
        automaton.link();
        if automaton.longest > 0 {
            automaton.first = vec![0; FIRST_WORDS].into_boxed_slice();
        }
        for &(state, char) in automaton.edges.keys() {
            if state == 0 {
                automaton.first[u32::from(char) as usize / 64 % FIRST_WORDS] |= 1 << (u32::from(char) % 64);
            }
        }
        automaton
    }

    fn insert(&mut self, word: &[char], action: Action) {
        let (Some(first), Some(last)) = (word.first(), word.last()) else { return };
        let mut state = 0;
        for char in word {
            let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            state = *self.edges.entry((state, *char)).or_insert_with(|| {
                self.nodes.push(Node { depth: self.nodes[state as usize].depth + 1, ..Node::default() });
                next
            });
        }
        let bounded = [first, last].map(char::is_ascii_alphanumeric);
        let node = &mut self.nodes[state as usize];
        let action = node.word.map_or(action, |known| known.action.max(action));
        node.word = Some(Found { length: word.len(), action, bounded });
        self.longest = self.longest.max(word.len());
    }

    /// Finds out for each state where it goes on when no edge fits, the shorter ones first.
    fn link(&mut self) {
        let mut children: Vec<Vec<(char, State)>> = vec![Vec::new(); self.nodes.len()];
        for (&(from, char), &to) in &self.edges {
            children[from as usize].push((char, to));
        }
        let mut queue = VecDeque::from([0]);
        while let Some(state) = queue.pop_front() {
            for &(char, child) in &children[state as usize] {
                let fail = if state == 0 { 0 } else { self.step(self.nodes[state as usize].fail, char) };
                let at_fail = &self.nodes[fail as usize];
                let shorter = if at_fail.word.is_some() { fail } else { at_fail.shorter };
                let open_at_fail = at_fail.open;
                let is_leaf = children[child as usize].is_empty();
                let node = &mut self.nodes[child as usize];
                (node.fail, node.shorter) = (fail, shorter);
                node.open = if is_leaf { open_at_fail } else { node.depth };
                queue.push_back(child);
            }
        }
    }

    /// Where `char` leads.
    pub(super) fn step(&self, mut state: State, char: char) -> State {
        let begins = |char: char| {
            let word = self.first.get(u32::from(char) as usize / 64 % FIRST_WORDS);
            word.is_none_or(|word| word & (1 << (u32::from(char) % 64)) != 0)
        };
        loop {
            if state == 0 && !begins(char) {
                return 0;
            }
            if let Some(next) = self.edges.get(&(state, char)) {
                return *next;
            }
            if state == 0 {
                return 0;
            }
            state = self.nodes[state as usize].fail;
        }
    }

    /// How many characters at the end may still become a word.
    pub(super) fn open(&self, state: State) -> usize {
        self.nodes[state as usize].open
    }

    /// The words that end here, the longest first.
    pub(super) fn found(&self, state: State) -> impl Iterator<Item = Found> {
        let node = |state: State| &self.nodes[state as usize];
        let first = if node(state).word.is_some() { state } else { node(state).shorter };
        std::iter::successors(Some(first).filter(|state| *state != 0), move |state| {
            Some(node(*state).shorter).filter(|state| *state != 0)
        })
        .filter_map(move |state| node(state).word)
    }

    /// The longest word's length in characters; 0: there are no words.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }
}
