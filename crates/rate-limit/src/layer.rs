//! The layer: settings and state.

use std::{borrow::Cow, fmt, sync::Arc};

use bartizan_core::{Clock, Outcome, ServerLayer};
use http::{HeaderName, Method};
use tower_layer::Layer;

use crate::{
    BehindAuthentication, Charge, ConfigError, HeaderFields, KeyExtractor, MissingKey, Rate, RateLimit,
    RequestHead,
    config::{Settings, checked_max_keys, checked_name},
    keys::{And, Describe, Keys, Unkeyed},
    limit::{Choice, Cost, Limit, LimitSettings},
    policy::{LAYER, Policy},
};

/// Refuses the requests of a key that come faster than a [`Rate`].
///
/// [`new`](Self::new) alone is not a layer yet. It becomes one [`by`](RateLimitLayer::by) saying whose requests
/// count together, so that nobody makes one bucket for all callers by accident, which any of them could use up for
/// all others; [`Global`](crate::Global) says that this is meant.
///
/// [`and`](Self::and) adds another limit. All limits of a layer are decided together: a request takes from all of
/// them, or from none. What says "this limit" below sets the one that was added last.
///
/// The state belongs to the value: its clones, and the services of all its `layer()` calls, share the limits.
/// `by`, `and` and each `with_*` make a value with empty state of its own: set up first, then clone.
///
/// ```
/// use bartizan_rate_limit::{PerPrincipal, PerTenant, RateLimitLayer};
///
/// let layer = RateLimitLayer::new("50/s burst 100".parse()?)
///     .by(PerPrincipal)
///     .and("10000/h".parse()?)
///     .by(PerTenant)
///     .with_name("tenant-hourly")?;
/// # let _ = layer;
/// # Ok::<(), bartizan_rate_limit::ConfigError>(())
/// ```
///
/// See the [crate's documentation](crate) for the behaviour.
#[must_use]
pub struct RateLimitLayer<K = Unkeyed> {
    pub(crate) policy: Arc<Policy<K>>,
}

impl RateLimitLayer {
    /// A limit that lacks its key.
    pub fn new(rate: Rate) -> Self {
        let settings = Settings::default();
        Self::assemble(settings, &[LimitSettings::new(rate)], Arc::new(Unkeyed(())))
    }

    /// Counts the requests of each key apart.
    pub fn by<K: KeyExtractor>(self, key: K) -> RateLimitLayer<K> {
        self.rekeyed(Arc::new(key))
    }
}

impl<A: Keys> RateLimitLayer<And<A, Unkeyed>> {
    /// Counts the requests of each key apart.
    pub fn by<K: KeyExtractor>(self, key: K) -> RateLimitLayer<And<A, K>> {
        let first = Arc::clone(&self.policy.keys.first);
        self.rekeyed(Arc::new(And { first, last: Arc::new(key) }))
    }
}

impl<K: Keys> RateLimitLayer<K> {
    /// Adds a limit that lacks its key: call `by` next. A layer takes 8 limits at most.
    ///
    /// A request that one of the limits refuses takes from none of them. The layer belongs in a stack where the
    /// latest of its limits does.
    pub fn and(self, rate: Rate) -> RateLimitLayer<And<K, Unkeyed>> {
        let mut limits = self.limits();
        limits.push(LimitSettings::new(rate));
        let keys = And { first: Arc::clone(&self.policy.keys), last: Arc::new(Unkeyed(())) };
        RateLimitLayer::assemble(self.policy.shared.settings.clone(), &limits, Arc::new(keys))
    }

    /// Tells callers what is left of their quota, in header fields of each response, those of refusals included.
    /// Default: refused callers get `Retry-After` alone.
    ///
    /// Only for limits that stand after authentication, where a stranger cannot read what another caller has left.
    /// A service that authenticates nobody moves its limit with [`KeyExtractor::at`].
    ///
    /// ```compile_fail,E0277
    /// use bartizan_rate_limit::{HeaderFields, PerClientAddr, Rate, RateLimitLayer};
    ///
    /// let rate = Rate::per_second(1).unwrap();
    /// let layer = RateLimitLayer::new(rate).by(PerClientAddr).with_headers(HeaderFields::new());
    /// ```
    pub fn with_headers(self, headers: HeaderFields) -> Self
    where
        K::Phase: BehindAuthentication,
    {
        self.with_setting(|settings| settings.headers = Some(headers))
    }
}

#[expect(private_bounds, reason = "only what this crate makes is a list of keys")]
impl<K: Describe> RateLimitLayer<K> {
    /// The name of this limit: in refusals, header fields, metrics and the access log. Default: the key's, such as
    /// `per-principal`. Give each limit of a service a name of its own.
    ///
    /// # Errors
    ///
    /// When it is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn with_name(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(self.with(|limit| limit.name = Some(name)))
    }

    /// How many keys this limit remembers at most: 100 000 by default, which take about 5 MB when all are in use,
    /// and nothing while none is.
    ///
    /// It should be above the number of callers that are over half of their burst at one time; a caller that was
    /// idle for as long as its bucket needs to fill does not count.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^30.
    pub fn with_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        let max_keys = checked_max_keys(max_keys)?;
        Ok(self.with(|limit| limit.max_keys = max_keys))
    }

    /// What this limit does with a request that has no key. Default: [`MissingKey::Shared`].
    pub fn with_missing_key(self, missing: MissingKey) -> Self {
        self.with(|limit| limit.missing = missing)
    }

    /// Applies `rate` to principals of this [tier](bartizan_core::Principal::tier) instead of the limit's own. For
    /// more tiers call it again; it replaces [`with_rates`](Self::with_rates).
    ///
    /// # Errors
    ///
    /// When the tier is empty or has a rate already, and when the limit is a
    /// [sliding window](Self::with_sliding_window) that cannot have this rate.
    pub fn with_tier(self, tier: impl Into<Box<str>>, rate: Rate) -> Result<Self, ConfigError> {
        let tier = tier.into();
        let mut error = None;
        let layer = self.checked(|limit| {
            if !matches!(limit.choice, Choice::Tiers(_)) {
                limit.choice = Choice::Tiers(Vec::new());
            }
            if let Choice::Tiers(tiers) = &mut limit.choice {
                if tier.is_empty() || tiers.iter().any(|(known, _)| *known == tier) {
                    error = Some(ConfigError::new("tier", "must be a name that has no rate yet"));
                }
                tiers.push((tier, rate));
            }
        })?;
        error.map_or(Ok(layer), Err)
    }

    /// Applies one of `rates` instead of the limit's own: the one whose place `choose` returns. With `None`, or a
    /// place that is none, the limit's own rate applies. Replaces [`with_tier`](Self::with_tier).
    ///
    /// A key that changes its rate keeps what it has used, as time until its bucket is full.
    ///
    /// # Errors
    ///
    /// When the limit is a [sliding window](Self::with_sliding_window) that cannot have these rates.
    pub fn with_rates(
        self,
        rates: impl Into<Box<[Rate]>>,
        choose: impl Fn(&RequestHead<'_>) -> Option<usize> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        self.checked(|limit| limit.choice = Choice::By(rates.into(), Arc::new(choose)))
    }

    /// Counts by a sliding window rather than a bucket: at most as many requests as the limit within about one
    /// period, however they are spread.
    ///
    /// The count of the window before is taken to have been spread evenly; so the estimate is exact for steady
    /// callers, and off by one window's worth at most for others. Fixed windows, which let through twice the limit
    /// around a boundary, are not offered.
    ///
    /// # Errors
    ///
    /// When a rate has a burst other than its limit, which a window does not have, or another period.
    pub fn with_sliding_window(self) -> Result<Self, ConfigError> {
        self.checked(|limit| limit.sliding = true)
    }

    /// What each request takes. Default: 1.
    ///
    /// # Errors
    ///
    /// When it is 0, or more than the burst of one of the rates.
    pub fn with_cost(self, cost: u32) -> Result<Self, ConfigError> {
        self.checked(|limit| limit.cost = Cost::Fixed(cost))
    }

    /// What a request takes, by its head. 0 lets it pass while anything goes, and takes nothing. A request whose
    /// cost is more than the burst is refused with 413 (INVALID_ARGUMENT): waiting would not help.
    pub fn with_cost_by(self, cost: impl Fn(&RequestHead<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.with(|limit| limit.cost = Cost::By(Arc::new(cost)))
    }

    /// Charges or gives back by what became of the request, when its body has ended or was dropped: by the bytes
    /// that were sent, or nothing for what failed.
    ///
    /// A caller may get into debt by that, of one whole burst at most. Such limits allocate once for each response.
    ///
    /// ```
    /// use bartizan_rate_limit::{Charge, PerPrincipal, RateLimitLayer};
    ///
    /// // Server errors are free; each further 64 KiB cost as much as a request.
    /// let layer = RateLimitLayer::new("100/min".parse()?).by(PerPrincipal).with_charge(|outcome| {
    ///     if outcome.status.is_some_and(|status| status.is_server_error()) {
    ///         Charge::Refund(1)
    ///     } else {
    ///         Charge::More(u32::try_from(outcome.bytes / 65_536).unwrap_or(u32::MAX))
    ///     }
    /// });
    /// # let _ = layer;
    /// # Ok::<(), bartizan_rate_limit::ConfigError>(())
    /// ```
    pub fn with_charge(self, charge: impl Fn(&Outcome) -> Charge + Send + Sync + 'static) -> Self {
        self.with(|limit| limit.charge = Some(Arc::new(charge)))
    }

    /// What a request costs in addition that a layer further in refused for a bad credential: guessing is to be
    /// slow. Default: 10 for keys with the client's address, 0 for others.
    pub fn with_failed_credential_charge(self, charge: u32) -> Self {
        self.with(|limit| limit.failed_credential_charge = Some(charge))
    }

    /// Lets refused requests take what is left of the bucket, so that a caller gets through only once it holds
    /// back. Default: a refused request takes nothing.
    pub fn with_refused_counted(self) -> Self {
        self.with(|limit| limit.counts_refused = true)
    }

    /// Rehearses: this limit decides, counts and tells as always, and refuses nobody.
    ///
    /// The outcome of what it would have refused is `would_limit` in metrics, and the wide event has
    /// `rate_limit.would_refuse`. It shows nothing to callers.
    pub fn with_shadow(self) -> Self {
        self.with(|limit| limit.rehearsal = true)
    }

    /// Hashes the keys of this limit with this seed instead of a random one, so that a benchmark does the same work
    /// in each run.
    ///
    /// Insecure: a caller who knows the seed can choose keys that slow the limit down, or that share the bucket of
    /// another caller.
    pub fn with_insecure_seed(self, seed: u64) -> Self {
        self.with(|limit| limit.seed = Some(seed))
    }

    /// Requests of these methods pass without being counted, by any limit of the layer.
    pub fn with_exempt_methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with_setting(|settings| settings.exempt.add_methods(methods))
    }

    /// Requests for these paths pass without being counted, by any limit of the layer: `/healthz`, or `/static/*`
    /// for all paths below `/static`.
    ///
    /// Paths are compared as they were sent. Below a `/*`, paths that have several spellings are counted.
    ///
    /// # Errors
    ///
    /// When a path does not start with `/`, has several spellings itself, or a `*` elsewhere than at its end.
    pub fn with_exempt_paths<P: AsRef<str>>(
        self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let mut exempt = self.policy.shared.settings.exempt.clone();
        exempt.add_paths(paths)?;
        Ok(self.with_setting(|settings| settings.exempt = exempt))
    }

    /// Lets CORS preflights pass without being counted, for a service whose CORS layer stands inside of this one. Those that
    /// carry a credential or a query are counted all the same: `Authorization`, `Proxy-Authorization`, `Cookie`, `x-api-key`,
    /// `api-key`, `x-auth-token`, and what [`with_credential_header`](Self::with_credential_header) names. Default: all are
    /// counted; a CORS layer in its place answers them before they come here.
    pub fn with_exempt_preflights(self) -> Self {
        self.with_setting(|settings| settings.exempt.add_preflights())
    }

    /// A header of your own in which callers show a credential, such as `x-shop-key`: what carries it is no preflight. Name here
    /// what an authentication layer is told to read, where preflights are [exempt](Self::with_exempt_preflights): else keys
    /// could be tried in what looks like one, and nobody would count.
    pub fn with_credential_header(self, name: HeaderName) -> Self {
        self.with_setting(|settings| settings.exempt.add_credential_header(name))
    }

    /// Requests from these addresses or networks (`203.0.113.9`, `10.0.0.0/8`, `2001:db8::/32`) pass without being
    /// counted, by any limit of the layer. Needs a layer that sets the client's address.
    ///
    /// # Errors
    ///
    /// When one is neither an address nor a network.
    pub fn with_allow_list<N: AsRef<str>>(
        self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        let mut exempt = self.policy.shared.settings.exempt.clone();
        networks.into_iter().try_for_each(|network| exempt.add_network(network.as_ref()))?;
        Ok(self.with_setting(|settings| settings.exempt = exempt))
    }

    /// Shows handlers what was decided, as an extension of the request: [`Decisions`](crate::Decisions). Default:
    /// no, since it allocates.
    pub fn with_extension(self) -> Self {
        self.with_setting(|settings| settings.extension = true)
    }

    /// Where time comes from. Default: the system's clock.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with_setting(|settings| settings.clock = clock)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.with_setting(|settings| settings.recorder = bartizan_core::RecorderChoice::pinned(recorder))
    }

    /// Sets the limit that was added last.
    fn with(self, set: impl FnOnce(&mut LimitSettings)) -> Self {
        let mut limits = self.limits();
        if let Some(last) = limits.last_mut() {
            set(last);
        }
        Self::assemble(self.policy.shared.settings.clone(), &limits, Arc::clone(&self.policy.keys))
    }

    fn checked(self, set: impl FnOnce(&mut LimitSettings)) -> Result<Self, ConfigError> {
        let layer = self.with(set);
        layer.policy.shared.limits.iter().try_for_each(|limit| limit.settings().check())?;
        Ok(layer)
    }

    pub(crate) fn with_setting(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.policy.shared.settings.clone();
        set(&mut settings);
        Self::assemble(settings, &self.limits(), Arc::clone(&self.policy.keys))
    }

    fn rekeyed<T: Describe>(self, keys: Arc<T>) -> RateLimitLayer<T> {
        RateLimitLayer::assemble(self.policy.shared.settings.clone(), &self.limits(), keys)
    }

    fn limits(&self) -> Vec<LimitSettings> {
        self.policy.shared.limits.iter().map(Limit::settings).cloned().collect()
    }

    fn assemble(settings: Settings, limits: &[LimitSettings], keys: Arc<K>) -> Self {
        Self { policy: Arc::new(Policy::new(settings, limits, keys)) }
    }
}

impl<K> Clone for RateLimitLayer<K> {
    fn clone(&self) -> Self {
        Self { policy: Arc::clone(&self.policy) }
    }
}

impl<K> fmt::Debug for RateLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("policy", &self.policy).finish()
    }
}

impl<K: Keys> ServerLayer for RateLimitLayer<K> {
    type Phase = K::Phase;
    type Needs = K::Needs;
    type Provides = ();

    fn name(&self) -> &'static str {
        LAYER
    }
}

impl<S, K: Keys> Layer<S> for RateLimitLayer<K> {
    type Service = RateLimit<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(inner, Arc::clone(&self.policy))
    }
}
