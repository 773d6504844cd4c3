//! One order, from the account to the certificate.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use reqwest::Client;

use super::{
    challenges::Challenges,
    failure::Failure,
    http::Http,
    saved::{Issued, Saved},
};
use crate::config;

/// How the authority is asked whether it is done: after a quarter of a second, then ever less often.
const ASK: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(80));

/// Orders a certificate for all domains.
///
/// # Errors
/// What went wrong, with what the authority said, and what helps.
pub(super) async fn order(
    settings: &config::tls::Acme,
    client: &Client,
    saved: &Saved,
    challenges: &Challenges,
) -> Result<Issued, Failure> {
    let failed = |error| Failure::of(settings, error);
    let domains: Vec<_> = settings.domains.iter().cloned().map(Identifier::Dns).collect();
    let domains = NewOrder::new(&domains);
    let mut order = match account(settings, client, saved).await?.new_order(&domains).await {
        // The authority has forgotten us, as after a test server's restart.
        Err(error) if Failure::is_unknown_account(&error) => {
            saved.forget_account().await;
            account(settings, client, saved).await?.new_order(&domains).await.map_err(failed)?
        }
        order => order.map_err(failed)?,
    };
    prove(settings, challenges, &mut order).await?;
    let status = order.poll_ready(&ASK).await;
    if !matches!(status, Ok(OrderStatus::Ready)) {
        // Why a domain was refused stands with the domain.
        let refused = refused(settings, &mut order).await;
        return Err(match (refused, status) {
            (Some(refused), _) => refused,
            (None, Err(error)) => failed(error),
            (None, Ok(_)) => Failure::refused(settings),
        });
    }
    let private_key = order.finalize().await.map_err(failed)?;
    let chain = order.poll_certificate(&ASK).await.map_err(failed)?;
    Ok(Issued::new(settings, private_key, chain))
}

/// The account that was kept, or a new one.
async fn account(settings: &config::tls::Acme, client: &Client, saved: &Saved) -> Result<Account, Failure> {
    let failed = |error| Failure::of(settings, error);
    let builder = Account::builder_with_http(Box::new(Http(client.clone())));
    if let Some(credentials) = saved.account().await {
        return builder.from_credentials(credentials).await.map_err(failed);
    }
    let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, settings.directory.clone(), None).await.map_err(failed)?;
    if let Err(error) = saved.keep_account(credentials).await {
        // The next order makes another account; authorities allow some.
        tracing::warn!("the account with the certificate authority cannot be kept: {error:#}");
    }
    Ok(account)
}

/// Makes ready for the authority's question about each domain, and says so.
async fn prove(settings: &config::tls::Acme, challenges: &Challenges, order: &mut Order) -> Result<(), Failure> {
    let failed = |error| Failure::of(settings, error);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        if authorization.status == AuthorizationStatus::Valid {
            // Proved for an order before; authorities remember it for some days.
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(Failure::no_challenge(settings));
        };
        let digest = challenge.key_authorization().digest();
        challenges.expect(&domain, digest.as_ref()).map_err(|error| Failure::no_key(&error))?;
        challenge.set_ready().await.map_err(failed)?;
    }
    Ok(())
}

/// What the authority said of the first domain that it refused.
async fn refused(settings: &config::tls::Acme, order: &mut Order) -> Option<Failure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Some(Failure::of_domain(settings, &state.identifier().to_string(), problem));
        }
    }
    None
}
