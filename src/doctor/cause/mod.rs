//! Every cause that the doctor knows, and what it says about it, in two languages.
//!
//! A closed set: a cause belongs to a group, a group is an enum with its texts beside it. To add a cause, add a variant
//! to its group and follow the compiler; a test looks that no text is missing.

pub mod callback;
pub mod link;
pub mod model;
pub mod setup;
pub mod tools;
pub mod voice;
pub mod wecom;

use serde::{Serialize, Serializer};

use self::{callback::Callback, model::Model, setup::Setup, tools::Tools, voice::Voice, wecom::Wecom};
use crate::{config::chat::Language, net::link::LinkFault};

/// Why something is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The machine, the disk, the configuration.
    Setup(Setup),
    /// The way to WeCom or to the model.
    Link(LinkFault),
    /// The way from outside to us.
    Outside(LinkFault),
    /// What WeCom's API says.
    Wecom(Wecom),
    /// What becomes of callbacks.
    Callback(Callback),
    /// What the model's API says.
    Model(Model),
    /// What the endpoint that writes down voice messages says.
    Voice(Voice),
    /// What a server of tools says.
    Tools(Tools),
}

/// What is said about a cause. `{about}` stands for what was seen, `{key}` for the setting with the address, `{proxy}`
/// for the one with the proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// What was found.
    pub(super) found: &'static str,
    /// Why that is so.
    pub(super) why: &'static str,
    /// How it is mended.
    pub(super) remedy: &'static str,
    /// Where in WeCom's console, or on which page; empty where there is no such place.
    pub(super) place: &'static str,
}

/// The same in both languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts {
    zh: Words,
    en: Words,
}

impl Texts {
    /// Found, why, remedy and place, in Chinese and in English.
    pub(super) const fn new(zh: [&'static str; 4], en: [&'static str; 4]) -> Self {
        Self { zh: words(zh), en: words(en) }
    }
}

const fn words([found, why, remedy, place]: [&'static str; 4]) -> Words {
    Words { found, why, remedy, place }
}

impl Cause {
    /// Each of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let link = LinkFault::ALL.into_iter();
        Setup::ALL
            .iter()
            .map(|cause| Self::Setup(*cause))
            .chain(link.clone().map(Self::Link))
            .chain(link.filter(|fault| link::is_outside(*fault)).map(Self::Outside))
            .chain(Wecom::ALL.iter().map(|cause| Self::Wecom(*cause)))
            .chain(Callback::ALL.iter().map(|cause| Self::Callback(*cause)))
            .chain(Model::ALL.iter().map(|cause| Self::Model(*cause)))
            .chain(Voice::ALL.iter().map(|cause| Self::Voice(*cause)))
            .chain(Tools::ALL.iter().map(|cause| Self::Tools(*cause)))
    }

    /// A word that never changes, for machines: `wecom.secret_wrong`.
    pub fn code(self) -> String {
        let (group, name) = match self {
            Self::Setup(cause) => ("setup", format!("{cause:?}")),
            Self::Link(cause) => ("link", format!("{cause:?}")),
            Self::Outside(cause) => ("outside", format!("{cause:?}")),
            Self::Wecom(cause) => ("wecom", format!("{cause:?}")),
            Self::Callback(cause) => ("callback", format!("{cause:?}")),
            Self::Model(cause) => ("model", format!("{cause:?}")),
            Self::Voice(cause) => ("voice", format!("{cause:?}")),
            Self::Tools(cause) => ("tools", format!("{cause:?}")),
        };
        let mut code = format!("{group}.");
        for (at, c) in name.char_indices() {
            if c.is_ascii_uppercase() && at > 0 {
                code.push('_');
            }
            code.push(c.to_ascii_lowercase());
        }
        code
    }

    /// Whether it is worth knowing and yet nothing is broken.
    pub const fn is_advice(self) -> bool {
        matches!(
            self,
            Self::Setup(
                Setup::ClockOff
                    | Setup::AppGone
                    | Setup::KeysWithoutV1
                    | Setup::KeysWithoutUrl
                    | Setup::KeysWithoutHttps
            ) | Self::Wecom(Wecom::DirectoryRefused | Wecom::DirectoryUnread)
                | Self::Callback(Callback::PlatformDomain | Callback::Strangers | Callback::Unlucky)
        )
    }

    pub(super) const fn words(self, language: Language) -> Words {
        let texts = match self {
            Self::Setup(cause) => cause.texts(),
            Self::Link(cause) => link::on_the_way_out(cause),
            Self::Outside(cause) => link::on_the_way_in(cause),
            Self::Wecom(cause) => cause.texts(),
            Self::Callback(cause) => cause.texts(),
            Self::Model(cause) => cause.texts(),
            Self::Voice(cause) => cause.texts(),
            Self::Tools(cause) => cause.texts(),
        };
        match language {
            Language::Chinese => texts.zh,
            Language::English => texts.en,
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.code())
    }
}

/// An enum whose variants can be gone through.
macro_rules! causes {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}
pub(super) use causes;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_its_texts_in_both_languages() {
        for cause in Cause::all() {
            let (zh, en) = (cause.words(Language::Chinese), cause.words(Language::English));
            for text in [zh.found, zh.why, zh.remedy, en.found, en.why, en.remedy] {
                assert!(!text.trim().is_empty(), "{cause:?}");
                // One line each; the place is not repeated, and nothing is a wall of text.
                assert!(!text.contains('\n') && text.chars().count() <= 200, "{cause:?}: {text}");
            }
            assert!([zh.found, zh.why, zh.remedy].concat().chars().any(|c| c > '\u{2E80}'), "{cause:?}");
            assert_eq!(zh.place.is_empty(), en.place.is_empty(), "{cause:?}");
            // What is seen is shown in both or in neither.
            let shows = |words: Words| [words.found, words.why, words.remedy].concat().contains("{about}");
            assert_eq!(shows(zh), shows(en), "{cause:?}");
        }
    }

    #[test]
    fn no_two_causes_have_one_code() {
        let codes: BTreeSet<_> = Cause::all().map(Cause::code).collect();
        assert_eq!(codes.len(), Cause::all().count());
        assert!(codes.contains("wecom.secret_wrong") && codes.contains("link.name_not_found"), "{codes:?}");
    }
}
