//! Remote keys of an identity provider on a real socket, in good days and bad.
#![cfg(all(feature = "aws-lc-rs", feature = "https-client", feature = "metrics"))]

mod idp;
mod mint;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_auth::{Algorithm, JwtLayer, RemoteKeys, RemoteKeysBuilder, TokenPolicy};
use bartizan_core::{Clock, ManualClock};
use http::Request;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::json;
use tokio::task::{JoinHandle, yield_now};

use self::{
    idp::{Idp, Mood, Named, OAUTH, OPENID},
    mint::{AUDIENCE, ISSUER, Signer},
    support::{Seen, get, grpc, send},
};

/// One refresh in so much time for keys that are unknown.
const WINDOW: Duration = Duration::from_secs(30);

/// A service that trusts the provider.
struct World {
    keys: RemoteKeys,
    layer: JwtLayer<RemoteKeys>,
    clock: ManualClock,
    told: Snapshotter,
}

impl World {
    fn new(builder: RemoteKeysBuilder) -> Self {
        let clock = ManualClock::new();
        let recorder = DebuggingRecorder::new();
        let told = recorder.snapshotter();
        let keys = builder
            .with_insecure_loopback_http()
            // As long as the machine may need: what is waited for is the end of the fetch.
            .with_wait(Duration::from_secs(10))
            .unwrap()
            .with_clock(Clock::from(clock.clone()))
            .with_recorder(recorder)
            .build()
            .unwrap();
        let policy = TokenPolicy::new(ISSUER, [AUDIENCE]).unwrap();
        let layer = JwtLayer::new(keys.clone(), policy).with_clock(Clock::from(clock.clone()));
        Self { keys, layer, clock, told }
    }

    fn of(idp: &Idp) -> Self {
        Self::new(RemoteKeys::jwks(idp.keys_url(), Algorithm::Es256))
    }

    async fn send(&self, token: &str) -> Seen {
        send(&self.layer, request(token)).await
    }

    async fn status(&self, token: &str) -> u16 {
        self.send(token).await.status()
    }

    /// A refresh, asked for by a key that nobody has.
    async fn refresh(&self, stranger: &Named) {
        self.clock.advance(WINDOW);
        assert_eq!(self.status(&stranger.token(0)).await, 401);
    }

    /// How often the counter was counted with these words among its labels, since last asked.
    fn counted(&self) -> Vec<(String, u64)> {
        let mut counted: Vec<_> = self
            .told
            .snapshot()
            .into_vec()
            .into_iter()
            .filter_map(|(key, _, _, value)| {
                let key = key.key();
                let labels: Vec<_> =
                    key.labels().filter(|label| label.key() != "issuer").map(|label| label.value()).collect();
                let DebugValue::Counter(count) = value else { return None };
                (count > 0).then(|| (format!("{} {}", key.name(), labels.join(" ")), count))
            })
            .collect();
        counted.sort();
        counted
    }
}

/// Requests without end, and each is accepted: one with a token that was not seen before, one verified in any case.
struct Load {
    sent: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Load {
    /// `token` makes another one for each number.
    fn start(world: &World, token: impl Fn(usize) -> String + Send + 'static) -> Self {
        let (sent, over) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (Arc::clone(&sent), Arc::clone(&over));
        let layers = [world.layer.clone(), world.layer.clone().without_cache()];
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                let token = token(count.load(Ordering::SeqCst));
                for layer in &layers {
                    assert_eq!(send(layer, request(&token)).await.status(), 200);
                }
                count.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
            }
        });
        Self { sent, over, task }
    }

    /// Waits until requests were sent that began after this.
    async fn goes_on(&self) {
        let before = self.sent.load(Ordering::SeqCst);
        while self.sent.load(Ordering::SeqCst) < before + 2 {
            assert!(!self.task.is_finished(), "a request was refused");
            yield_now().await;
        }
    }

    async fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

fn request(token: &str) -> Request<String> {
    get("/").header("authorization", format!("Bearer {token}")).body(String::new()).unwrap()
}

fn refreshes(outcome: &str) -> (String, u64) {
    (format!("bartizan_jwks_refreshes_total {outcome}"), 1)
}

#[tokio::test]
async fn jwk_01_an_issuer_is_asked_where_its_keys_are_in_both_places() {
    let key = Named::new("a");
    for (path, has_a_page_for_all) in [(OPENID, false), (OPENID, true), (OAUTH, false), (OAUTH, true)] {
        let idp = Idp::start().await;
        idp.publish([key.jwk()]);
        idp.serve_documents(&[path]);
        if has_a_page_for_all {
            idp.serve_a_page_for_all_else();
        }
        let world = World::new(RemoteKeys::discover(idp.issuer(), Algorithm::Es256));
        assert_eq!(world.status(&key.token(1)).await, 200, "{path}");
        assert_eq!(idp.key_fetches(), 1);
        assert_eq!(idp.document_fetches(), if path == OPENID { 1 } else { 2 });
        world.refresh(&Named::new("b")).await;
        assert_eq!(
            idp.document_fetches(),
            if path == OPENID { 1 } else { 2 },
            "an address is believed for a day"
        );
    }
}

#[tokio::test]
async fn jwk_01_the_document_of_another_issuer_gives_no_keys() {
    let (idp, key) = (Idp::start().await, Named::new("a"));
    idp.publish([key.jwk()]);
    idp.claim("https://evil.example");
    let world = World::new(RemoteKeys::discover(idp.issuer(), Algorithm::Es256));
    assert_eq!(world.status(&key.token(1)).await, 503);
    assert_eq!(idp.key_fetches(), 0);
    assert_eq!(world.counted(), [refreshes("wrong_issuer")]);
}

#[tokio::test]
async fn jwk_01_where_there_is_no_document_the_first_place_says_why() {
    for (has_a_page_for_all, outcome) in [(false, "status"), (true, "bad_discovery")] {
        let idp = Idp::start().await;
        idp.serve_documents(&[]);
        if has_a_page_for_all {
            idp.serve_a_page_for_all_else();
        }
        let world = World::new(RemoteKeys::discover(idp.issuer(), Algorithm::Es256));
        assert_eq!(world.status(&Named::new("a").token(1)).await, 503);
        assert_eq!((idp.document_fetches(), idp.key_fetches()), (2, 0));
        assert_eq!(world.counted(), [refreshes(outcome)]);
    }
}

#[tokio::test]
async fn jwk_01_keys_that_moved_are_found_by_another_look_at_the_document() {
    let (mut old, new) = (Idp::start().await, Idp::start().await);
    let (key, added) = (Named::new("a"), Named::new("added"));
    old.publish([key.jwk()]);
    new.publish([key.jwk(), added.jwk()]);
    let world = World::new(RemoteKeys::discover(old.issuer(), Algorithm::Es256));
    assert_eq!(world.status(&key.token(1)).await, 200);
    old.move_keys(new.keys_url());
    world.refresh(&added).await;
    assert_eq!((old.document_fetches(), new.key_fetches()), (1, 0), "the address was good a moment ago");
    world.clock.advance(WINDOW);
    assert_eq!(world.status(&added.token(1)).await, 200);
    assert_eq!((old.document_fetches(), new.key_fetches()), (2, 1));

    // After a day the document is looked at again; while it is away, the address is believed on.
    old.stop().await;
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    world.refresh(&Named::new("b")).await;
    assert_eq!(new.key_fetches(), 2);
    assert_eq!(world.status(&added.token(2)).await, 200);
}

#[tokio::test]
async fn jwk_03_the_first_token_of_a_new_key_is_accepted() {
    let (idp, old, new) = (Idp::start().await, Named::new("old"), Named::new("new"));
    idp.publish([old.jwk()]);
    let world = World::of(&idp);
    assert_eq!(world.status(&old.token(1)).await, 200, "the first request waits for the first keys");
    idp.publish([old.jwk(), new.jwk()]);
    assert_eq!(world.status(&new.token(1)).await, 200, "and the first of a new key for that");
    assert_eq!(world.status(&old.token(2)).await, 200);
    assert_eq!(idp.key_fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwk_03_a_storm_of_random_keys_makes_one_fetch_in_a_window() {
    const STORM: usize = 10_000;
    const CALLERS: usize = 16;
    let (idp, key) = (Idp::start().await, Arc::new(Named::new("good")));
    idp.publish([key.jwk()]);
    let world = Arc::new(World::of(&idp));
    assert_eq!(world.status(&key.token(0)).await, 200);
    // Signed once, for nobody gets as far as the signature.
    let tail = key.token(0).split_once('.').unwrap().1.to_owned();
    for window in 1..=3 {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (world, key, tail) = (Arc::clone(&world), Arc::clone(&key), tail.clone());
                tokio::spawn(async move {
                    for kid in (caller..STORM).step_by(CALLERS) {
                        let header = json!({"alg": "ES256", "kid": format!("{window}-{kid}")}).to_string();
                        assert_eq!(world.status(&format!("{}.{tail}", base64_url(&header))).await, 401);
                        if kid % 100 == 0 {
                            assert_eq!(world.status(&key.token(kid)).await, 200, "good ones pass meanwhile");
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(idp.key_fetches(), 1 + window, "one for the first load, and one for each window");
        world.clock.advance(WINDOW);
    }
}

fn base64_url(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwk_04_good_keys_are_accepted_throughout_whatever_the_provider_does() {
    let (mut idp, key, stranger) = (Idp::start().await, Named::new("good"), Named::new("stranger"));
    idp.publish([key.jwk()]);
    let builder = RemoteKeys::jwks(idp.keys_url(), Algorithm::Es256);
    let world = World::new(builder.with_timeout(Duration::from_secs(2)).unwrap());
    assert_eq!(world.status(&key.token(0)).await, 200);
    world.counted();

    let key = Arc::new(key);
    let signer = Arc::clone(&key);
    let load = Load::start(&world, move |id| signer.token(id));
    for (mood, outcome) in [
        (Mood::Status(500), "status"),
        (Mood::Status(404), "status"),
        (Mood::Redirect, "status"),
        (Mood::Text(String::new()), "malformed"),
        (Mood::Text("<html>maintenance</html>".into()), "malformed"),
        (Mood::Text("{}".into()), "malformed"),
        (Mood::Text("[]".into()), "malformed"),
        (Mood::Text(json!({"keys": []}).to_string()), "no_usable_key"),
        (Mood::Text(json!({"keys": [{"kty": "EC", "kid": "good"}]}).to_string()), "no_usable_key"),
        (Mood::Huge, "too_large"),
        (Mood::Drip, "timeout"),
        (Mood::Silent, "timeout"),
    ] {
        idp.set_mood(mood.clone());
        world.refresh(&stranger).await;
        assert_eq!(world.counted(), [refreshes(outcome)], "{mood:?}");
        assert!(world.keys.is_ready());
        load.goes_on().await;
    }
    idp.stop().await;
    world.refresh(&stranger).await;
    assert_eq!(world.counted(), [refreshes("unreachable")]);

    // And when it is back, it is back.
    idp.set_mood(Mood::Good);
    idp.publish([key.jwk(), stranger.jwk()]);
    idp.restart().await;
    world.clock.advance(WINDOW);
    assert_eq!(world.status(&stranger.token(1)).await, 200);
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwk_03_jwk_04_keys_are_rotated_while_requests_run() {
    let idp = Idp::start().await;
    let keys: Arc<[Named]> = (0..6).map(|number| Named::new(&format!("key-{number}"))).collect();
    idp.publish([keys[0].jwk()]);
    let world = Arc::new(World::of(&idp));
    assert_eq!(world.status(&keys[0].token(0)).await, 200);

    // The key that its issuer signs with.
    let current = Arc::new(AtomicUsize::new(0));
    let (signers, signs) = (Arc::clone(&keys), Arc::clone(&current));
    let load = Load::start(&world, move |id| signers[signs.load(Ordering::SeqCst)].token(id));
    for next in 1..keys.len() {
        let (old, new) = (&keys[next - 1], &keys[next]);
        world.clock.advance(WINDOW);
        idp.publish([old.jwk(), new.jwk()]);
        let fetches = idp.key_fetches();
        if next % 2 == 0 {
            // An issuer that takes its time: who waits is served, and nobody else waits.
            idp.set_mood(Mood::Silent);
            let (asking, first) = (Arc::clone(&world), new.token(0));
            let waiting = tokio::spawn(async move { asking.status(&first).await });
            while idp.key_fetches() == fetches {
                yield_now().await;
            }
            load.goes_on().await;
            assert!(!waiting.is_finished());
            idp.set_mood(Mood::Good);
            assert_eq!(waiting.await.unwrap(), 200, "the first token of a new key");
        } else {
            assert_eq!(world.status(&new.token(0)).await, 200, "the first token of a new key");
        }
        assert_eq!(idp.key_fetches(), fetches + 1);
        current.store(next, Ordering::SeqCst);
        load.goes_on().await;

        // The old one is withdrawn, which only a good answer says.
        idp.publish([new.jwk()]);
        let stranger = Named::new("stranger");
        idp.set_mood(Mood::Text("<html>".into()));
        world.refresh(&stranger).await;
        assert_eq!(world.status(&old.token(1)).await, 200);
        idp.set_mood(Mood::Good);
        world.refresh(&stranger).await;
        assert_eq!(world.status(&old.token(1)).await, 401);
        load.goes_on().await;
    }
    load.end().await;
}

#[tokio::test]
async fn jwk_04_before_the_first_load_the_answer_is_503_and_never_401() {
    let (mut idp, key) = (Idp::start().await, Named::new("a"));
    idp.publish([key.jwk()]);
    idp.stop().await;
    let world = World::of(&idp);
    for _ in 0..3 {
        let refused = world.send(&key.token(1)).await;
        assert_eq!(refused.status(), 503);
        let pause: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=2).contains(&pause), "a second, and half of one for the jitter: {pause}");
        assert_eq!(refused.header("www-authenticate"), "");
    }
    let value = format!("Bearer {}", key.token(1));
    let refused = send(&world.layer, grpc(&[("authorization", &value)])).await;
    assert_eq!((refused.status(), refused.header("grpc-status")), (200, "14"));
    assert!(!world.keys.ready().await);
    assert_eq!(
        send(&world.layer, get("/").body(String::new()).unwrap()).await.status(),
        401,
        "no token at all"
    );

    idp.restart().await;
    world.clock.advance(Duration::from_secs(2));
    assert!(world.keys.ready().await);
    assert_eq!(world.status(&key.token(1)).await, 200);
}

#[tokio::test]
async fn jwk_04_a_removed_key_stops_working_at_the_next_good_refresh() {
    let (idp, old, new) = (Idp::start().await, Named::new("old"), Named::new("new"));
    idp.publish([old.jwk(), new.jwk()]);
    let world = World::of(&idp);
    let seen_before = old.token(1);
    assert_eq!(world.status(&seen_before).await, 200);

    idp.publish([new.jwk()]);
    idp.set_mood(Mood::Status(500));
    world.refresh(&Named::new("stranger")).await;
    assert_eq!(world.status(&seen_before).await, 200, "what failed changes nothing");

    idp.set_mood(Mood::Good);
    world.refresh(&Named::new("stranger")).await;
    assert_eq!(world.status(&seen_before).await, 401, "not even a token that was seen before");
    assert_eq!(world.status(&old.token(2)).await, 401);
    assert_eq!(world.status(&new.token(1)).await, 200);
}

#[tokio::test]
async fn jwk_04_keys_too_old_to_be_trusted_are_given_up() {
    let (idp, key) = (Idp::start().await, Named::new("a"));
    idp.publish([key.jwk()]);
    let world = World::of(&idp);
    assert_eq!(world.status(&key.token(1)).await, 200);
    idp.set_mood(Mood::Status(500));
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(world.status(&key.token(2)).await, 200, "to the last second");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.status(&key.token(3)).await, 503);
    assert_eq!(world.status(&key.token(1)).await, 503, "nor a token that was seen before");
    assert!(!world.keys.is_ready());
    idp.set_mood(Mood::Good);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.status(&key.token(4)).await, 200);
}

#[tokio::test]
async fn jwk_02_secrets_among_the_keys_are_reported_and_not_used() {
    let (idp, key, private) = (Idp::start().await, Named::new("a"), Named::new("private"));
    let mut leaked = private.jwk();
    leaked["d"] = json!("AAAA");
    let mut secret = Signer::secret().jwk();
    secret["kid"] = json!("secret");
    secret["alg"] = json!("HS256");
    idp.publish([leaked, secret, json!({"kty": "new", "kid": "unknown"}), key.jwk()]);
    let world = World::of(&idp);
    assert_eq!(world.status(&key.token(1)).await, 200, "the others are none the worse");
    let exposed = |kind: &str| (format!("bartizan_jwks_exposed_keys_total {kind}"), 1);
    assert_eq!(world.counted(), [exposed("private"), exposed("symmetric"), refreshes("success")]);
    assert_eq!(world.status(&private.token(1)).await, 401);
}

#[tokio::test]
async fn jwk_01_no_address_without_tls_is_taken_unless_it_is_allowed() {
    let idp = Idp::start().await;
    for url in [idp.keys_url(), "http://id.example/keys".into(), "https://a:b@id.example/".into()] {
        let error = RemoteKeys::jwks(url, Algorithm::Es256).build().unwrap_err();
        assert_eq!(error.field(), "jwks_url");
    }
    let error = RemoteKeys::discover(idp.issuer(), Algorithm::Es256).build().unwrap_err();
    assert_eq!(error.field(), "issuer");
}

#[tokio::test]
async fn jwt_11_a_key_of_one_issuer_never_verifies_a_token_of_another() {
    const OTHER: &str = "https://other.example";
    let (idp, other) = (Idp::start().await, Idp::start().await);
    // The same name for both keys, as careless issuers have it.
    let (key, other_key) = (Named::new("1"), Named::new("1"));
    idp.publish([key.jwk()]);
    other.publish([other_key.jwk()]);
    let world = World::of(&idp);
    let other_keys = World::of(&other).keys;
    let layer =
        world.layer.clone().with_issuer(other_keys, TokenPolicy::new(OTHER, [AUDIENCE]).unwrap()).unwrap();
    for (signer, issuer, expected) in
        [(&key, ISSUER, 200), (&other_key, OTHER, 200), (&key, OTHER, 401), (&other_key, ISSUER, 401)]
    {
        let seen = send(&layer, request(&signer.token_of(issuer, 1))).await;
        assert_eq!(seen.status(), expected, "{issuer}");
    }
    other.set_mood(Mood::Status(500));
    assert_eq!((idp.key_fetches(), other.key_fetches()), (1, 1), "each asks its own");
}
