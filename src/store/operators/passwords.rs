//! The passwords of operators, and the second factor that is set up with the first of them.

use rusqlite::{Connection, OptionalExtension, params};

use super::{COLUMNS, account, by, entry, sessions};
use crate::{
    clock::Timestamp,
    model::{
        operator::{Invitation, InvitationText, PasswordHash},
        second_factor::{SEED_BYTES, Seed, stored_name},
    },
    store::{Error, Store, audit, secrets},
    vault::{MasterKeys, Unreadable},
};

/// What came of a code and a password.
#[derive(Debug)]
pub enum Accepted {
    /// The password is set, and this is the seed of the second factor where one was set up: nobody can show it again.
    Yes(Option<Seed>),
    /// The code was not good.
    No,
    /// What is stored already cannot be read with these keys, so a seed cannot be stored beside it. Nothing was changed.
    Unreadable(Unreadable),
}

impl Store {
    /// Takes a code, which is good this once, and a password for it. With `keys` it also draws the seed of a second factor,
    /// which is stored sealed by them. Sessions of before end; `place` is one from which the operator is known from now on.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn accept_invitation(
        &self,
        code: &InvitationText,
        password: PasswordHash,
        place: String,
        keys: Option<&MasterKeys>,
        now: Timestamp,
    ) -> Result<Accepted, Error> {
        let (id, hash) = (code.id.clone(), code.hash());
        let new = keys.map(|keys| Ok::<_, Error>((draw_seed()?, keys.clone()))).transpose()?;
        self.db
            .write(move |conn| {
                let sql = format!("SELECT {COLUMNS} FROM operator WHERE invitation_id = ?1 AND disabled_at IS NULL");
                let there = conn.prepare_cached(&sql)?.query_row([id.as_str()], account).optional()?;
                let is_good = |given: &Invitation| given.id == id && given.hash.is(&hash) && now < given.until;
                let Some(there) = there.filter(|there| there.invitation.as_ref().is_some_and(is_good)) else {
                    return Ok(Accepted::No);
                };
                let actor = by(&there.name, "code");
                let mut entry = entry("operator.password", &there.name);
                if let Some((seed, keys)) = &new {
                    let name = stored_name(&there.name);
                    if let Err(unreadable) = secrets::put(conn, &actor, keys, &name, &seed.text(), now)? {
                        return Ok(Accepted::Unreadable(unreadable));
                    }
                    // Whatever code of another seed was used: this one has used none.
                    conn.execute("UPDATE operator SET second_factor_step = NULL WHERE number = ?1", [there.number])?;
                    entry = entry.changed("second_factor", there.second_factor, true);
                }
                set_password(conn, there.number, &password, now)?;
                sessions::remember_place(conn, there.number, &place, now)?;
                audit::record(conn, &actor, entry, now)?;
                Ok(Accepted::Yes(new.as_ref().map(|(seed, _)| seed.clone())))
            })
            .await
    }

    /// Puts a password in the place of another; sessions of before end, and the second factor stays. Whether that other was
    /// still the one in force.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn change_password(
        &self,
        operator: i64,
        before: PasswordHash,
        password: PasswordHash,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.db
            .write(move |conn| {
                let sql = format!("SELECT {COLUMNS} FROM operator WHERE number = ?1 AND disabled_at IS NULL");
                let there = conn.prepare_cached(&sql)?.query_row([operator], account).optional()?;
                let Some(there) = there.filter(|there| there.password.as_ref() == Some(&before)) else {
                    return Ok(false);
                };
                set_password(conn, operator, &password, now)?;
                audit::record(conn, &by(&there.name, "password"), entry("operator.password", &there.name), now)?;
                Ok(true)
            })
            .await
    }
}

/// A password is another: what was proved by the one before is over, and so is a code.
fn set_password(conn: &Connection, operator: i64, password: &PasswordHash, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE operator SET password = ?2, password_set_at = ?3, invitation_id = NULL, invitation_hash = NULL,
             invitation_until = NULL WHERE number = ?1",
        params![operator, password.expose(), now.as_millis()],
    )?;
    sessions::end_all(conn, operator)
}

fn draw_seed() -> Result<Seed, Error> {
    let mut bytes = [0; SEED_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomBytes)?;
    Ok(Seed::of(bytes))
}
