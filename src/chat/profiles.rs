//! Who members are, for prompts that name them. Asked of WeCom beside the turns, once a day; a turn uses what is known,
//! and only a member's first waits for a moment.

use std::{collections::HashSet, sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{cause::chain, errands};
use crate::{
    clock::{Clock, Timestamp},
    model::{
        id::{Lane, MemberId},
        profile::Profile,
    },
    store::{Store, inbox::Inbound},
    wecom::{client::Client, contact::ContactError},
};

/// How long what WeCom said, or refused to say, holds.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// After how long WeCom is asked again where it could not be reached.
const AFTER_TROUBLE: Duration = Duration::from_secs(10 * 60);
/// How long the first turn of a member waits for their name.
const PATIENCE: Duration = Duration::from_millis(300);
/// Members whose names are at hand. A name is short: all of them are about two megabytes.
const AT_HAND: u64 = 10_000;
/// Members who can wait to be asked about, and as many are asked about at once.
const WAITING: usize = 256;
const AT_ONCE: usize = 4;

/// Tells who members are. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Profiles {
    clock: Clock,
    cache: Cache<Lane, Known>,
    wanted: mpsc::Sender<Wanted>,
}

/// What is known of a member as it was at a claim's epoch ([`Inbound::epoch`]).
#[derive(Clone, Debug)]
struct Known {
    epoch: i64,
    profile: Profile,
    good_until: Timestamp,
}

#[derive(Debug)]
struct Wanted {
    lane: Lane,
    member: MemberId,
    epoch: i64,
    reply: oneshot::Sender<Profile>,
}

impl Profiles {
    /// The one that turns ask, and the one that asks WeCom.
    pub fn new(store: Store, clock: Clock, wecom: Client) -> (Self, Lookups) {
        let cache = Cache::builder().max_capacity(AT_HAND).build();
        let (sender, wanted) = mpsc::channel(WAITING);
        let told = std::sync::Mutex::default();
        let work = Arc::new(Work { store, clock: clock.clone(), wecom, cache: cache.clone(), told });
        (Self { clock, cache, wanted: sender }, Lookups { wanted, work })
    }

    /// What is known of the member who wrote. Waits only where nothing is known yet, and not long.
    pub async fn of(&self, claim: &Inbound) -> Profile {
        let known = self.cache.get(&claim.lane).await.filter(|known| known.epoch == claim.epoch);
        if let Some(known) = &known
            && known.good_until > self.clock.now()
        {
            return known.profile.clone();
        }
        let (reply, told) = oneshot::channel();
        let member = claim.event.from.clone();
        let wanted = Wanted { lane: claim.lane.clone(), member, epoch: claim.epoch, reply };
        let asked = self.wanted.try_send(wanted).is_ok();
        match known {
            Some(known) => known.profile,
            None if asked => self.clock.timeout(PATIENCE, told).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => Profile::default(),
        }
    }
}

/// Asks WeCom who members are.
pub struct Lookups {
    wanted: mpsc::Receiver<Wanted>,
    work: Arc<Work>,
}

struct Work {
    store: Store,
    clock: Clock,
    wecom: Client,
    cache: Cache<Lane, Known>,
    /// The errcodes that an administrator was told of: each once.
    told: std::sync::Mutex<HashSet<i64>>,
}

impl Lookups {
    /// Works until `stop`, and then leaves what it is at.
    pub async fn run(self, stop: CancellationToken) {
        let Self { wanted, work } = self;
        let look_up = |wanted| {
            let work = Arc::clone(&work);
            async move { work.look_up(wanted).await }
        };
        errands::run(wanted, AT_ONCE, stop, |wanted: &Wanted| wanted.lane.clone(), look_up).await;
    }
}

impl Work {
    async fn look_up(&self, Wanted { lane, member, epoch, reply }: Wanted) {
        let now = self.clock.now();
        let stored = match self.store.find_profile(&lane).await {
            Ok(stored) => stored,
            Err(error) => return debug!(%error, "could not read who {member} is"),
        };
        let mut reply = Some(reply);
        // Nobody minds where the one who asked has gone on.
        let mut tell = |profile: &Profile| reply.take().map(|reply| reply.send(profile.clone()));
        if let Some((profile, fetched_at)) = &stored {
            tell(profile);
            // Fetched in the future, by a clock that was set back since: as good as just now.
            let good_until = (*fetched_at).min(now) + FRESH;
            if good_until > now {
                let known = Known { epoch, profile: profile.clone(), good_until };
                return self.cache.insert(lane, known).await;
            }
        }
        let (profile, refused, fresh) = match self.wecom.profile(&member).await {
            Ok(profile) => (profile, None, FRESH),
            Err(ContactError::Refused(refusal)) => {
                let errcode = refusal.errcode.documented().unwrap_or(-2);
                let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if told.insert(errcode) {
                    let remedy = refusal.errcode.remedy().unwrap_or(
                        "add the members to the app's visible range: 应用管理 → the app → 可见范围; or set \
                         chat.member_profile = false",
                    );
                    warn!(errcode = %refusal.errcode, remedy, "WeCom does not say who {member} is; prompts do without \
                        for a day");
                }
                (Profile::default(), Some(errcode), FRESH)
            }
            Err(trouble) => {
                debug!(reason = %chain(&trouble), "could not ask WeCom who {member} is");
                let profile = stored.map(|(profile, _)| profile).unwrap_or_default();
                let known = Known { epoch, profile, good_until: self.clock.now() + AFTER_TROUBLE };
                return self.cache.insert(lane, known).await;
            }
        };
        let now = self.clock.now();
        if let Err(error) = self.store.save_profile(&lane, profile.clone(), refused, now).await {
            debug!(%error, "could not keep who {member} is");
        }
        tell(&profile);
        self.cache.insert(lane, Known { epoch, profile, good_until: now + fresh }).await;
    }
}
