//! Keys that members make themselves, and the one-time links by which they get them.
//!
//! The message with a link is in the outbox, as every message is, so that a crash loses none. What it opens is used up by
//! the first who uses it, and over in minutes; here is only its hash. The key is made in the transaction that takes the
//! link away, so there is never one of both without the other.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{
    Error, LeaseLost, Store, audit,
    inbox::Inbound,
    keys::{NewKey, Revoked, draw, find, insert, renew, scope_text, take_back},
};
use crate::{
    clock::Timestamp,
    model::{
        audit::Actor,
        id::{AgentId, CorpId, MemberId},
        key::{ApiKey, KeyHash, KeyId, KeyText, Owner, SECRET_BYTES, Scope, Standing},
        key_link::{GRACE, Hindrance, KeyLink, KeyWish, LINK_VALID, LinkToken},
        language::Language,
        reply::ReplyPart,
    },
    secret::Secret,
};

const COLUMNS: &str = "hash, corp, agent, userid, name, rotates, language";

/// What keys are to be that members make themselves.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How many of them that are good a member may have.
    pub most: u32,
    /// What each is good for.
    pub scope: Scope,
    /// For how long each is good.
    pub life: Duration,
}

/// What came of using a link.
#[derive(Debug)]
pub enum Taken {
    /// This is all of the key: nobody can show it again.
    Key(Box<ApiKey>, Secret<String>),
    /// There is no key, and the link is good as before.
    Not(Hindrance),
    /// The link is not, or no longer, good.
    Gone,
}

impl Store {
    /// Ends a member's command with a link by which they get a key, and with what is said about it; without one where the
    /// key would not be made either.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn offer_key(
        &self,
        claim: &Inbound,
        wish: KeyWish,
        most: u32,
        words: impl Fn(Result<&LinkToken, Hindrance>) -> Vec<ReplyPart> + Send + 'static,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|_| Error::NoRandomBytes)?;
        let (token, event) = (LinkToken::of(secret), &claim.event);
        let (corp, agent, member) = (event.corp.clone(), event.agent, event.from.clone());
        let link = KeyLink { hash: token.hash(), corp, agent, member, wish };
        self.end_with(claim, now, move |conn| {
            conn.execute("DELETE FROM key_link WHERE expires_at <= ?1", [now.as_millis()])?;
            if let Some(hindrance) = hindrance(conn, &link, most, now)? {
                return Ok(words(Err(hindrance)));
            }
            keep(conn, &link, now)?;
            Ok(words(Ok(&token)))
        })
        .await
    }

    /// The link of this hash, where it is good. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn key_link(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyLink>, Error> {
        let hash = hash.clone();
        let sql = format!("SELECT {COLUMNS} FROM key_link WHERE hash = ?1 AND expires_at > ?2");
        self.db
            .read(move |conn| {
                conn.prepare_cached(&sql)?.query_row(params![hash.bytes(), now.as_millis()], link).optional()
            })
            .await
    }

    /// Uses a link: makes the key, or gives the one that is meant a new secret. Of many who use it at once one gets it.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn take_key(&self, link: &KeyLink, bounds: &Bounds, now: Timestamp) -> Result<Taken, Error> {
        let (link, bounds, scope) = (link.clone(), bounds.clone(), scope_text(&bounds.scope)?);
        let drawn: KeyText = draw(link.wish.rotates.clone())?;
        let (id, hash, text) = (drawn.id.clone(), drawn.hash(), drawn.text());
        self.db
            .write(move |conn| {
                let is = "SELECT 1 FROM key_link WHERE hash = ?1 AND member = ?2 AND expires_at > ?3";
                let is =
                    conn.prepare_cached(is)?.exists(params![link.hash.bytes(), link.member.key(), now.as_millis()])?;
                if !is {
                    return Ok(Taken::Gone);
                }
                if let Some(hindrance) = hindrance(conn, &link, bounds.most, now)? {
                    return Ok(Taken::Not(hindrance));
                }
                conn.execute("DELETE FROM key_link WHERE hash = ?1", [link.hash.bytes()])?;
                let actor = Actor::Member(link.corp.clone(), link.member.clone());
                match &link.wish.rotates {
                    Some(_) => {
                        if let Some(there) = find(conn, &id)? {
                            renew(conn, &actor, &there, &hash, GRACE, now)?;
                        }
                    }
                    None => {
                        let wanted = wanted(&link, &bounds, now);
                        insert(conn, &actor, (&id, &hash), &wanted, &scope, now)?;
                        conn.execute("UPDATE api_key SET self_made = 1 WHERE id = ?1", [id.as_str()])?;
                    }
                }
                let key = find(conn, &id)?.map(Box::new);
                Ok(key.map_or(Taken::Gone, |key| Taken::Key(key, text.clone())))
            })
            .await
    }

    /// Ends a member's command with one of their keys taken back, whoever made it, and with what is said about it.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn revoke_own_key(
        &self,
        claim: &Inbound,
        id: &KeyId,
        words: impl Fn(Revoked) -> Vec<ReplyPart> + Send + 'static,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (id, actor) = (id.clone(), audit::sender(&claim.event));
        let (corp, member) = (claim.event.corp.clone(), claim.event.from.clone());
        self.end_with(claim, now, move |conn| {
            let theirs = find(conn, &id)?.filter(|key| is_of(key, &corp, &member));
            Ok(words(theirs.map_or(Ok(Revoked::NotThere), |key| take_back(conn, &actor, &key, now))?))
        })
        .await
    }
}

fn is_of(key: &ApiKey, corp: &CorpId, member: &MemberId) -> bool {
    key.corp == *corp && key.owner.member() == Some(member)
}

/// Why a member gets no key at this moment: asked when a link is made and when it is used.
fn hindrance(
    conn: &Connection,
    link: &KeyLink,
    most: u32,
    now: Timestamp,
) -> Result<Option<Hindrance>, rusqlite::Error> {
    let KeyLink { corp, member, wish, .. } = link;
    if let Some(id) = &wish.rotates {
        let theirs = find(conn, id)?
            .is_some_and(|key| is_of(&key, corp, member) && key.self_made && key.standing(now) == Standing::Good);
        return Ok((!theirs).then_some(Hindrance::NotTheirs));
    }
    let has: u32 = conn
        .prepare_cached(
            "SELECT COUNT(*) FROM api_key WHERE corp = ?1 AND member = ?2 AND self_made = 1 AND revoked_at IS NULL
               AND (expires_at IS NULL OR expires_at > ?3)",
        )?
        .query_row(params![corp.as_str(), member.key(), now.as_millis()], |row| row.get(0))?;
    Ok((has >= most).then_some(Hindrance::Full))
}

fn wanted(link: &KeyLink, bounds: &Bounds, now: Timestamp) -> NewKey {
    NewKey {
        corp: link.corp.clone(),
        owner: Owner::Member(link.member.clone()),
        name: link.wish.name.clone(),
        scope: bounds.scope.clone(),
        external_id: None,
        expires_at: Some(now + bounds.life),
    }
}

fn keep(conn: &Connection, link: &KeyLink, now: Timestamp) -> Result<(), rusqlite::Error> {
    let KeyLink { hash, corp, agent, member, wish } = link;
    conn.prepare_cached(
        "INSERT INTO key_link (hash, corp, agent, member, userid, name, rotates, language, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        hash.bytes(),
        corp.as_str(),
        agent.get().cast_signed(),
        member.key(),
        member.as_str(),
        wish.name,
        wish.rotates.as_ref().map(KeyId::as_str),
        wish.language.as_str(),
        (now + LINK_VALID).as_millis(),
    ])
    .map(drop)
}

/// What a row holds.
fn link(row: &Row<'_>) -> Result<KeyLink, rusqlite::Error> {
    let wrong = |column: usize, what: &'static str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("key_link.{what}").into())
    };
    let rotates = match row.get::<_, Option<String>>(5)? {
        Some(id) => Some(KeyId::parse(&id).map_err(|_| wrong(5, "rotates"))?),
        None => None,
    };
    let language = row.get_ref(6)?.as_str()?;
    let language = Language::ALL.into_iter().find(|known| known.as_str() == language);
    Ok(KeyLink {
        hash: KeyHash::from_stored(row.get(0)?),
        corp: CorpId::parse(row.get_ref(1)?.as_str()?).map_err(|_| wrong(1, "corp"))?,
        agent: AgentId::new(row.get::<_, i64>(2)?.cast_unsigned()),
        member: MemberId::parse(row.get_ref(3)?.as_str()?).map_err(|_| wrong(3, "userid"))?,
        wish: KeyWish { name: row.get(4)?, rotates, language: language.unwrap_or_default() },
    })
}
