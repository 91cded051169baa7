//! Keys and tokens: access tokens (JWT), refresh tokens, API keys, and the signature of cursors.
//!
//! Access tokens follow RFC 9068 and RFC 8725: one pinned algorithm (HS256), `typ: at+jwt`, issuer and audience
//! checked. Several secrets may be in force: the first signs, all verify, so that one can be replaced without
//! signing anybody out.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use opiekun_domain::ids::{ApiKeyId, OperatorId, OrganizationId, SignInId};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Once;
use uuid::Uuid;

/// How long an access token lives.
pub const ACCESS_TOKEN_LIFE: TimeDelta = TimeDelta::minutes(15);
/// How long a refresh token lives, counted anew with each.
pub const REFRESH_TOKEN_LIFE: TimeDelta = TimeDelta::days(30);

const ISSUER: &str = "opiekun";
const AUDIENCE: &str = "opiekun-api";
/// Shorter secrets are refused at start: HS256 wants as many bits as its hash has (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    iss: String,
    aud: String,
    pub sub: OperatorId,
    pub org: OrganizationId,
    /// The sign-in, which can be revoked before the token expires.
    pub sid: SignInId,
    iat: i64,
    exp: i64,
    jti: Uuid,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    Expired,
    Invalid,
}

/// No secret, or one that is too short to be safe.
#[derive(Debug, thiserror::Error)]
#[error("a signing secret needs at least {SECRET_BYTES_MIN} bytes")]
pub struct WeakSecret;

/// The secrets in force.
#[derive(Clone)]
pub struct Keys {
    /// The signing one first.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// Names the secret in a token's header without telling it.
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    cursor: [u8; 32],
}

impl Keys {
    /// The first secret signs; the others are taken until they are removed.
    pub fn new(secrets: &[String]) -> Result<Self, WeakSecret> {
        install_hs256();
        if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < SECRET_BYTES_MIN) {
            return Err(WeakSecret);
        }
        let keys = secrets
            .iter()
            .map(|secret| Key {
                id: BASE64_URL_SAFE_NO_PAD.encode(&hmac(secret.as_bytes(), &[b"key id"])[..6]),
                encoding: EncodingKey::from_secret(secret.as_bytes()),
                decoding: DecodingKey::from_secret(secret.as_bytes()),
                cursor: hmac(secret.as_bytes(), &[b"cursors"]),
            })
            .collect();
        Ok(Self { keys })
    }

    pub fn access_token(
        &self,
        sub: OperatorId,
        org: OrganizationId,
        sid: SignInId,
        now: DateTime<Utc>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let key = &self.keys[0];
        let claims = AccessClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub,
            org,
            sid,
            iat: now.timestamp(),
            exp: (now + ACCESS_TOKEN_LIFE).timestamp(),
            jti: opiekun_domain::ids::uuid_at(now),
        };
        let header =
            Header { typ: Some("at+jwt".to_owned()), kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &key.encoding)
    }

    pub fn read_access_token(&self, token: &str, now: DateTime<Utc>) -> Result<AccessClaims, TokenFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Invalid)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(TokenFault::Invalid);
        }
        let key = self.keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()).ok_or(TokenFault::Invalid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Expiry is held against our own clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<AccessClaims>(token, &key.decoding, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenFault::Expired,
                _ => TokenFault::Invalid,
            })?
            .claims;
        if claims.exp <= now.timestamp() { Err(TokenFault::Expired) } else { Ok(claims) }
    }

    /// Signs the parts of a cursor.
    pub(crate) fn sign_cursor(&self, parts: &[&[u8]]) -> [u8; 16] {
        cut(hmac(&self.keys[0].cursor, parts))
    }

    /// Whether a cursor was signed here, with a secret that is still in force.
    pub(crate) fn is_cursor(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.keys.iter().any(|key| bool::from(cut(hmac(&key.cursor, parts)).ct_eq(signature)))
    }
}

fn cut(mac: [u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&mac[..16]);
    short
}

/// HMAC-SHA256 of parts, each with its length, so that no two lists of parts read the same.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac_with(key);
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn mac_with(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length")
}

/// SHA-256, under which random secrets are kept: they have too many bits to be guessed, so need no slow hash.
pub fn hash_of(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// 256 random bits as text.
pub fn random_secret() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 32]>())
}

/// A new key as its owner sees it, once: `opk_<id>_<secret>`. The prefix lets scanners find leaked ones.
pub fn api_key_text(id: ApiKeyId, secret: &str) -> String {
    format!("opk_{}_{secret}", id.0.simple())
}

/// A new secret of a calendar feed's address. The prefix lets scanners find leaked ones.
pub fn random_feed_secret() -> String {
    format!("opf_{}", random_secret())
}

/// A new secret of an address at which a survey is answered.
pub fn random_survey_secret() -> String {
    format!("ops_{}", random_secret())
}

/// The id of a key and the hash of its secret.
pub(crate) fn parse_api_key(text: &str) -> Option<(ApiKeyId, Vec<u8>)> {
    let (id, secret) = text.strip_prefix("opk_")?.split_once('_')?;
    Some((ApiKeyId(Uuid::try_parse(id).ok()?), hash_of(secret)))
}

/// HS256 alone, from the crates that are here anyway: the library's own set of algorithms brings in RSA and curves.
fn install_hs256() {
    static INSTALLED: Once = Once::new();
    static HS256: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(mac_with(key.as_bytes())))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        verifier_factory: |algorithm, key| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(mac_with(key.try_get_as_bytes()?)))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    INSTALLED.call_once(|| {
        // Refused only if this process installed one before: then it is this one.
        let _ = HS256.install_default();
    });
}

struct Hs256(Hmac<Sha256>);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.0.clone().chain_update(message).verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
