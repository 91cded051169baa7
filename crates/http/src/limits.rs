//! How often a caller may ask: a quota a minute for each operator, key and address, told on every answer.

use crate::problem::{ApiError, Code};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const WINDOW_SECONDS: u32 = 60;

/// Sign-in attempts a minute for one account, and for one address.
const SIGN_INS_A_MINUTE: u32 = 10;
const SIGN_INS_A_MINUTE_OF_ADDRESS: u32 = 60;

/// Calls a minute at one address of a survey's form by one caller, so that none keeps others from a form for many, and at
/// addresses that are none: who guesses has no time to.
const FORM_CALLS_A_MINUTE: u32 = 120;
const WRONG_FORMS_A_MINUTE_OF_ADDRESS: u32 = 60;

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Whose quota a request counts against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    Known(Uuid),
    /// Requests without valid credentials.
    Address(IpAddr),
}

/// The quotas of this node.
pub struct Limits {
    requests: Limiter<Caller>,
    requests_a_minute: NonZeroU32,
    accounts: Limiter<String>,
    addresses: Limiter<IpAddr>,
    /// By the hash of the form's secret, and where the call comes from.
    forms: Limiter<(Vec<u8>, Option<IpAddr>)>,
    wrong_forms: Limiter<IpAddr>,
    counted: AtomicU32,
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    pub remaining: u32,
    pub quota: u32,
}

impl Left {
    /// `RateLimit` and `RateLimit-Policy` (IETF httpapi draft).
    pub fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        // The quota refills evenly, so that what is used comes back in its share of the window.
        let used = self.quota.saturating_sub(self.remaining);
        let seconds = (u64::from(used) * u64::from(WINDOW_SECONDS)).div_ceil(u64::from(self.quota.max(1)));
        let value = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"default\""));
        [
            (RATE_LIMIT, value(format!("\"default\";r={};t={seconds}", self.remaining))),
            (RATE_LIMIT_POLICY, value(format!("\"default\";q={};w={WINDOW_SECONDS}", self.quota))),
        ]
    }
}

impl Limits {
    pub fn new(requests_a_minute: NonZeroU32) -> Self {
        Self {
            requests: limiter(requests_a_minute),
            requests_a_minute,
            accounts: limiter(of(SIGN_INS_A_MINUTE)),
            addresses: limiter(of(SIGN_INS_A_MINUTE_OF_ADDRESS)),
            forms: limiter(of(FORM_CALLS_A_MINUTE)),
            wrong_forms: limiter(of(WRONG_FORMS_A_MINUTE_OF_ADDRESS)),
            counted: AtomicU32::new(0),
        }
    }

    /// Counts a request, or refuses it.
    pub fn count(&self, caller: &Caller) -> Result<Left, ApiError> {
        self.sweep_now_and_then();
        count(&self.requests, caller, self.requests_a_minute)
    }

    /// Counts an attempt to sign in, against the account that is named (whether it exists or not) and the address.
    pub fn count_sign_in(&self, account: &str, address: Option<IpAddr>) -> Result<(), ApiError> {
        count(&self.accounts, &account.to_lowercase(), of(SIGN_INS_A_MINUTE))?;
        let of_address = of(SIGN_INS_A_MINUTE_OF_ADDRESS);
        address.map_or(Ok(()), |address| count(&self.addresses, &address, of_address).map(|_| ()))
    }

    /// Counts a call at the address of a survey's form, by the hash of its secret and where the call comes from.
    pub fn count_form(&self, secret_hash: Vec<u8>, address: Option<IpAddr>) -> Result<(), ApiError> {
        count(&self.forms, &(secret_hash, address), of(FORM_CALLS_A_MINUTE)).map(|_| ())
    }

    /// Counts a call for a form that there is none of, against where it comes from.
    pub fn count_wrong_form(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let of_address = of(WRONG_FORMS_A_MINUTE_OF_ADDRESS);
        address.map_or(Ok(()), |address| count(&self.wrong_forms, &address, of_address).map(|_| ()))
    }

    /// Now and then forgets the callers whose quota is whole again, so that memory does not grow with strangers.
    fn sweep_now_and_then(&self) {
        /// Between two sweeps: rare enough to cost nothing, often enough to bound the memory.
        const REQUESTS: u32 = 4096;
        if self.counted.fetch_add(1, Ordering::Relaxed) % REQUESTS == REQUESTS - 1 {
            self.requests.retain_recent();
            self.accounts.retain_recent();
            self.addresses.retain_recent();
            self.forms.retain_recent();
            self.wrong_forms.retain_recent();
        }
    }
}

fn of(a_minute: u32) -> NonZeroU32 {
    NonZeroU32::new(a_minute).unwrap_or(NonZeroU32::MIN)
}

fn limiter<K: Hash + Eq + Clone>(a_minute: NonZeroU32) -> Limiter<K> {
    RateLimiter::keyed(Quota::per_minute(a_minute)).with_middleware()
}

fn count<K: Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K, quota: NonZeroU32) -> Result<Left, ApiError> {
    match limiter.check_key(key) {
        Ok(snapshot) => Ok(Left { remaining: snapshot.remaining_burst_capacity(), quota: quota.get() }),
        Err(refused) => {
            let wait = refused.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            let mut error = ApiError::new(Code::RateLimited).header(header::RETRY_AFTER, HeaderValue::from(wait));
            for (name, value) in (Left { remaining: 0, quota: quota.get() }).headers() {
                error = error.header(name, value);
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_calls_a_form_too_often_keeps_nobody_else_from_it() {
        let limits = Limits::new(NonZeroU32::MAX);
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let form = || vec![7; 32];
        // The quota refills a little meanwhile.
        assert!((0..2 * FORM_CALLS_A_MINUTE).any(|_| limits.count_form(form(), from(1)).is_err()));
        assert!(limits.count_form(form(), from(2)).is_ok());
        assert!(limits.count_form(vec![8; 32], from(1)).is_ok());
    }
}
