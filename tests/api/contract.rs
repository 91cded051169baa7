//! The published contract.

use std::path::Path;

/// `openapi/openapi.json`, checked in so that a change of the contract is seen in the diff.
fn published() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json")
}

#[test]
fn what_is_served_is_what_is_checked_in() {
    let served = crate::support::Client::nobody().get("//openapi.json");
    served.expect(200);
    if std::env::var_os("OPIEKUN_WRITE_CONTRACT").is_some() {
        std::fs::write(published(), &served.body).unwrap();
    }
    let checked_in = std::fs::read(published()).unwrap_or_default();
    assert!(
        served.body == checked_in,
        "openapi/openapi.json is not what is served. If the change is meant, write it anew: \
         OPIEKUN_WRITE_CONTRACT=1 cargo test -p opiekun-tests --test api -- contract"
    );
}
