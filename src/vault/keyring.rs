//! The ring of data keys, and the values that they seal.

use super::{
    MasterKeyId, MasterKeys, NoRandomBytes, Unreadable,
    seal::{Key, open, random_key, seal},
};
use crate::secret::Secret;

/// Before what a wrapped key is bound to.
const KEY: &[u8] = b"qimate data key";
/// Before what a value is bound to.
const VALUE: &[u8] = b"qimate secret";

/// A data key as it is stored.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// Its number in the ring.
    pub number: i64,
    /// By which master key it is wrapped.
    pub master: MasterKeyId,
    /// The key, sealed.
    pub sealed: Vec<u8>,
}

/// A value as it is stored.
#[derive(Clone, Debug)]
pub struct SealedValue {
    /// The setting that it is for.
    pub name: String,
    /// The number of the data key.
    pub key: i64,
    /// The value, sealed.
    pub sealed: Vec<u8>,
}

/// All that is stored.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    /// The ring.
    pub keys: Vec<WrappedKey>,
    /// The values.
    pub values: Vec<SealedValue>,
}

impl Sealed {
    /// The ring, and of the values those whose names are wanted.
    #[must_use]
    pub fn only(mut self, is_wanted: impl Fn(&str) -> bool) -> Self {
        self.values.retain(|value| is_wanted(&value.name));
        self
    }

    /// Every value with its name. What is not stored needs no master key.
    ///
    /// # Errors
    /// Everything that cannot be read: a ring that cannot be opened, otherwise each value.
    pub fn open(&self, keys: Option<&MasterKeys>) -> Result<Vec<(String, Secret<String>)>, Vec<Unreadable>> {
        let ring = KeyRing::open(&self.keys, keys).map_err(|unreadable| vec![unreadable])?;
        let (mut values, mut unreadable) = (Vec::new(), Vec::new());
        for sealed in &self.values {
            match ring.value(sealed) {
                Ok(value) => values.push((sealed.name.clone(), value)),
                Err(why) => unreadable.push(why),
            }
        }
        if unreadable.is_empty() { Ok(values) } else { Err(unreadable) }
    }
}

/// The data keys, opened.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: Vec<DataKey>,
}

struct DataKey {
    number: i64,
    master: MasterKeyId,
    key: Key,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("number", &self.number).field("master", &self.master).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Opens every data key.
    ///
    /// # Errors
    /// [`Unreadable`]: of the first that cannot be opened.
    pub fn open(wrapped: &[WrappedKey], keys: Option<&MasterKeys>) -> Result<Self, Unreadable> {
        let open_one = |wrapped: &WrappedKey| {
            let WrappedKey { number, master: needed, sealed } = wrapped;
            let Some(keys) = keys else { return Err(Unreadable::NoMasterKey { needed: *needed }) };
            let Some(master) = keys.find(*needed) else {
                let set = keys.all().map(super::MasterKey::id).collect();
                return Err(Unreadable::OtherMasterKey { needed: *needed, set });
            };
            let plain = open(master.wrapping(), &[KEY, &number.to_be_bytes(), needed.bytes()], sealed);
            let mut key = Key::default();
            match plain {
                Some(plain) if plain.len() == key.len() => key.copy_from_slice(&plain),
                _ => return Err(Unreadable::DamagedKey { number: *number }),
            }
            Ok(DataKey { number: *number, master: *needed, key })
        };
        Ok(Self { keys: wrapped.iter().map(open_one).collect::<Result<_, _>>()? })
    }

    /// The number of the newest data key that the current master key wraps.
    pub fn newest(&self, keys: &MasterKeys) -> Option<i64> {
        let own = self.keys.iter().filter(|key| key.master == keys.current.id());
        own.map(|key| key.number).max()
    }

    /// Adds a data key, wrapped by the current master key, and gives it as it is to be stored.
    ///
    /// # Errors
    /// [`NoRandomBytes`]
    pub fn add(&mut self, keys: &MasterKeys) -> Result<WrappedKey, NoRandomBytes> {
        let number = self.keys.iter().map(|key| key.number).max().unwrap_or(0) + 1;
        let (key, master) = (random_key()?, keys.current.id());
        let context: [&[u8]; 3] = [KEY, &number.to_be_bytes(), master.bytes()];
        let sealed = seal(keys.current.wrapping(), &context, &*key)?;
        self.keys.push(DataKey { number, master, key });
        Ok(WrappedKey { number, master, sealed })
    }

    /// Seals a value by the data key of this number; `None` where the ring has none of that number.
    ///
    /// # Errors
    /// [`NoRandomBytes`]
    pub fn seal(&self, number: i64, name: &str, value: &Secret<String>) -> Result<Option<SealedValue>, NoRandomBytes> {
        let Some(key) = self.find(number) else { return Ok(None) };
        let context: [&[u8]; 3] = [VALUE, &number.to_be_bytes(), name.as_bytes()];
        let sealed = seal(&key.key, &context, value.expose().as_bytes())?;
        Ok(Some(SealedValue { name: name.to_owned(), key: number, sealed }))
    }

    /// Opens a value.
    ///
    /// # Errors
    /// [`Unreadable::DamagedValue`], also where the ring lacks its key.
    pub fn value(&self, sealed: &SealedValue) -> Result<Secret<String>, Unreadable> {
        let SealedValue { name, key: number, sealed } = sealed;
        let context: [&[u8]; 3] = [VALUE, &number.to_be_bytes(), name.as_bytes()];
        let plain = self.find(*number).and_then(|key| open(&key.key, &context, sealed));
        let text = plain.as_ref().and_then(|plain| std::str::from_utf8(plain).ok());
        let damaged = || Unreadable::DamagedValue { name: name.clone() };
        text.map(|text| Secret::new(text.to_owned())).ok_or_else(damaged)
    }

    fn find(&self, number: i64) -> Option<&DataKey> {
        self.keys.iter().find(|key| key.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::MasterKey;

    fn keys() -> MasterKeys {
        MasterKeys { current: MasterKey::draw().unwrap().0, previous: None }
    }

    fn stored(keys: &MasterKeys) -> Sealed {
        let mut ring = KeyRing::default();
        let wrapped = [ring.add(keys).unwrap(), ring.add(keys).unwrap()];
        let value = |number, name: &str| {
            ring.seal(number, name, &Secret::new(format!("of {name}"))).unwrap().expect("a key of the ring")
        };
        Sealed { keys: wrapped.to_vec(), values: vec![value(1, "llm.api_key"), value(2, "wecom.secret")] }
    }

    #[test]
    fn values_come_back_and_rows_have_their_places() {
        let keys = keys();
        let sealed = stored(&keys);
        let values = sealed.open(Some(&keys)).unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        assert_eq!(values, [("llm.api_key", "of llm.api_key"), ("wecom.secret", "of wecom.secret")]);

        let damaged = |name: &str| Unreadable::DamagedValue { name: name.to_owned() };
        let mut swapped = sealed.clone();
        let [one, two] = &mut swapped.values[..] else { panic!("two") };
        std::mem::swap(&mut one.name, &mut two.name);
        assert_eq!(swapped.open(Some(&keys)).unwrap_err(), [damaged("wecom.secret"), damaged("llm.api_key")]);
        let mut other_key = sealed.clone();
        other_key.values[0].key = 2;
        assert_eq!(other_key.open(Some(&keys)).unwrap_err(), [damaged("llm.api_key")]);
        let mut no_key = sealed.clone();
        no_key.keys.truncate(1);
        assert_eq!(no_key.open(Some(&keys)).unwrap_err(), [damaged("wecom.secret")]);
        let mut moved = sealed;
        let [one, two] = &mut moved.keys[..] else { panic!("two") };
        std::mem::swap(&mut one.sealed, &mut two.sealed);
        assert_eq!(moved.open(Some(&keys)).unwrap_err(), [Unreadable::DamagedKey { number: 1 }]);
    }

    #[test]
    fn a_wrong_master_key_is_told_from_a_damaged_row() {
        let (keys, other) = (keys(), keys());
        let (sealed, needed) = (stored(&keys), keys.current.id());
        assert_eq!(sealed.open(None).unwrap_err(), [Unreadable::NoMasterKey { needed }]);
        let set = vec![other.current.id()];
        assert_eq!(sealed.open(Some(&other)).unwrap_err(), [Unreadable::OtherMasterKey { needed, set }]);
        let both = MasterKeys { previous: Some(keys.current.clone()), ..other };
        assert_eq!(sealed.open(Some(&both)).unwrap().len(), 2, "the one of before reads too");
        let ring = KeyRing::open(&sealed.keys, Some(&both)).unwrap();
        assert_eq!((ring.newest(&both), ring.newest(&keys)), (None, Some(2)), "but nothing new is sealed by it");
        // Whoever writes the id of another master key there gains nothing.
        let mut claimed = sealed;
        claimed.keys[0].master = both.current.id();
        assert_eq!(claimed.open(Some(&both)).unwrap_err(), [Unreadable::DamagedKey { number: 1 }]);
        assert!(Sealed::default().open(None).unwrap().is_empty());
    }
}
