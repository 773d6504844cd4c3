//! `railway.json`.

use serde_json::Value;

use super::{image::Dockerfile, read, root, stop_grace_seconds};

fn railway() -> Value {
    serde_json::from_str(&read("railway.json")).unwrap()
}

#[test]
fn railway_builds_the_image_and_waits_until_it_is_ready() {
    let railway = railway();
    assert_eq!(railway["build"]["builder"], "DOCKERFILE");
    assert!(root().join(railway["build"]["dockerfilePath"].as_str().unwrap()).is_file());
    let deploy = &railway["deploy"];
    assert_eq!(deploy["healthcheckPath"], "/readyz");
    assert_eq!(deploy["restartPolicyType"], "ALWAYS");
    // A number: text is documented and refused (railwayapp/docs#1243).
    assert!(deploy["drainingSeconds"].as_u64().unwrap() >= stop_grace_seconds());
    assert_eq!(deploy["requiredMountPath"], Dockerfile::read().data_dir(), "without the volume nothing is deployed");
    assert_eq!(deploy["numReplicas"], 1, "one process owns the data directory");
    assert_eq!(deploy["sleepApplication"], false, "who sleeps sends nothing");
    assert!(deploy.get("startCommand").is_none(), "the image has no shell to run it");
}

#[test]
fn a_change_of_anything_that_the_image_is_made_of_is_deployed() {
    let railway = railway();
    let watched: Vec<_> =
        railway["build"]["watchPatterns"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    for source in Dockerfile::read().sources() {
        let wanted = if root().join(&source).is_dir() { format!("/{source}/**") } else { format!("/{source}") };
        assert!(watched.contains(&wanted.as_str()), "{wanted}");
    }
    for pattern in watched {
        assert!(root().join(pattern.trim_start_matches('/').trim_end_matches("/**")).exists(), "{pattern}");
    }
}
