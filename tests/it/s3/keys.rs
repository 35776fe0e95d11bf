//! Credentials that change while the program runs.

use super::{key, s3, wait, with};
use crate::support::servers::faulty_s3::{Answer, FaultyS3};
use btfleet::store::Store;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn keys_in_a_file_are_read_again_without_a_restart() {
    let valid = Arc::new(Mutex::new("OLD".to_owned()));
    let accepted = valid.clone();
    let server = FaultyS3::start(move |request| {
        let signature = request.header("authorization").unwrap_or_default();
        let wanted = format!("Credential={}/", accepted.lock().unwrap());
        match signature.contains(&wanted) {
            true => Answer::Good,
            false => Answer::error(403, "InvalidAccessKeyId"),
        }
    });
    let mut options = s3::options(&server.url());
    let file = s3::keys_file("OLD", "old-secret");
    options.credentials_file = Some(file.clone());
    // A minute in earnest.
    options.reread_keys = Duration::from_secs(1);
    wait(async {
        let store = with(options).await;
        assert_eq!(store.get(&key("a"), 9).await.unwrap(), None);
        // As Kubernetes changes a mounted Secret: another file under the same name.
        let new = file.with_extension("new");
        std::fs::write(&new, s3::keys("NEW", "new-secret")).unwrap();
        std::fs::rename(&new, &file).unwrap();
        *valid.lock().unwrap() = "NEW".into();
        let began = Instant::now();
        let e = store.get(&key("a"), 9).await.unwrap_err().to_string();
        assert!(e.contains("access key is not known"), "{e}");
        while store.get(&key("a"), 9).await.is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the new keys are not used"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(store.credentials_source(), Some("the credentials file"));
    });
}
