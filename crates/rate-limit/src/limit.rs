//! One limit of a layer: its settings and its state.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
};

use bartizan_core::{Fault, Outcome, QuotaViolation, RecorderChoice, RequestContext};

use crate::{
    Charge, ConfigError, Key, MissingKey, Rate, RequestHead,
    charge::ChargeBy,
    config::DEFAULT_MAX_KEYS,
    fingerprint::{Fingerprint, Secret},
    keys::{KeyInfo, Keys},
    policy::LAYER,
    quota::Quota,
    store::{Memory, Note, Place, Terms},
    telemetry::Telemetry,
};

/// The settings of one limit.
#[derive(Clone)]
pub(crate) struct LimitSettings {
    pub(crate) rate: Rate,
    /// More rates, and how one is chosen.
    pub(crate) choice: Choice,
    /// `None` is the key's own name.
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) max_keys: usize,
    pub(crate) missing: MissingKey,
    pub(crate) sliding: bool,
    pub(crate) cost: Cost,
    pub(crate) charge: Option<Arc<dyn ChargeBy>>,
    /// `None` is the key's own.
    pub(crate) failed_credential_charge: Option<u32>,
    pub(crate) rehearsal: bool,
    pub(crate) counts_refused: bool,
    pub(crate) seed: Option<u64>,
}

/// Which rate applies to a request.
#[derive(Clone)]
pub(crate) enum Choice {
    /// The one there is.
    One,
    /// That of the principal's tier.
    Tiers(Vec<(Box<str>, Rate)>),
    /// What a closure points at.
    By(Box<[Rate]>, Arc<dyn ChooseRate>),
}

/// What a request costs.
#[derive(Clone)]
pub(crate) enum Cost {
    Fixed(u32),
    By(Arc<dyn CostBy>),
}

pub(crate) trait ChooseRate: Send + Sync {
    fn choose(&self, head: &RequestHead<'_>) -> Option<usize>;
}

impl<F: Fn(&RequestHead<'_>) -> Option<usize> + Send + Sync> ChooseRate for F {
    fn choose(&self, head: &RequestHead<'_>) -> Option<usize> {
        self(head)
    }
}

pub(crate) trait CostBy: Send + Sync {
    fn cost(&self, head: &RequestHead<'_>) -> u32;
}

impl<F: Fn(&RequestHead<'_>) -> u32 + Send + Sync> CostBy for F {
    fn cost(&self, head: &RequestHead<'_>) -> u32 {
        self(head)
    }
}

impl LimitSettings {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            choice: Choice::One,
            name: None,
            max_keys: DEFAULT_MAX_KEYS,
            missing: MissingKey::default(),
            sliding: false,
            cost: Cost::Fixed(1),
            charge: None,
            failed_credential_charge: None,
            rehearsal: false,
            counts_refused: false,
            seed: None,
        }
    }

    fn rates(&self) -> impl Iterator<Item = Rate> {
        let tiers = match &self.choice {
            Choice::Tiers(tiers) => tiers.as_slice(),
            Choice::One | Choice::By(..) => &[],
        };
        let chosen = match &self.choice {
            Choice::By(rates, _) => &**rates,
            Choice::One | Choice::Tiers(_) => &[],
        };
        std::iter::once(self.rate).chain(tiers.iter().map(|(_, rate)| *rate)).chain(chosen.iter().copied())
    }

    /// What of these settings contradicts another.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.sliding {
            checked_windows(&self.rates().collect::<Vec<_>>())?;
        }
        if self.rates().nth(usize::from(u16::MAX)).is_some() {
            return Err(ConfigError::new("rates", "must be at most 65 534"));
        }
        match self.cost {
            Cost::Fixed(0) => Err(ConfigError::new("cost", "must be at least 1")),
            Cost::Fixed(cost) if self.rates().any(|rate| cost > rate.capacity()) => {
                Err(ConfigError::new("cost", "must be at most the burst: no request would ever pass"))
            }
            _ => Ok(()),
        }
    }
}

/// One limit: what all services of a layer share.
pub(crate) struct Limit {
    settings: LimitSettings,
    /// Of the limit's own rate.
    first_quota: Quota,
    /// Of the rates that may apply instead.
    more_quotas: Box<[Quota]>,
    pub(crate) memory: Memory,
    pub(crate) violation: QuotaViolation,
    pub(crate) refusal: &'static str,
    pub(crate) failed_credential_charge: u32,
    pub(crate) telemetry: Telemetry,
    absent: Option<Absent>,
    /// Whether it matters to that that others had a key.
    heeds_keys: bool,
    crowded: Fault,
    /// Where the time of the memory starts.
    epoch: u64,
}

/// The fault that a request without a key may show.
struct Absent {
    fault: Fault,
    patience: u32,
    keyless: AtomicU32,
    keyed: AtomicBool,
}

impl Limit {
    pub(crate) fn new(settings: LimitSettings, key: KeyInfo, epoch: u64, recorder: &RecorderChoice) -> Self {
        let name = settings.name.clone().unwrap_or(Cow::Borrowed(key.name));
        let secret = settings.seed.map_or_else(Secret::random, Secret::fixed);
        Self {
            first_quota: Quota::new(&name, settings.rate, settings.sliding),
            more_quotas: settings
                .rates()
                .skip(1)
                .map(|rate| Quota::new(&name, rate, settings.sliding))
                .collect(),
            memory: Memory::new(settings.sliding, settings.max_keys, secret),
            heeds_keys: key.fault.is_some() && key.patience > 0,
            absent: key.fault.map(|fault| Absent {
                fault,
                patience: key.patience,
                keyless: AtomicU32::new(0),
                keyed: AtomicBool::new(false),
            }),
            crowded: Fault::named(
                LAYER,
                format!(
                    "policy `{name}`: more keys are limited at once than are remembered, and share a bucket"
                ),
                "raise `with_max_keys`, or stop the flood of keys",
            ),
            telemetry: Telemetry::new(&name, recorder),
            violation: QuotaViolation {
                subject: name,
                description: Cow::Owned(format!("The limit is {}.", settings.rate)),
            },
            refusal: key.refusal,
            failed_credential_charge: settings
                .failed_credential_charge
                .unwrap_or(key.failed_credential_charge),
            epoch,
            settings,
        }
    }

    pub(crate) fn name(&self) -> &Cow<'static, str> {
        &self.violation.subject
    }

    pub(crate) fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// The quota at this place: 0 is that of the limit's own rate.
    #[inline]
    pub(crate) fn quota(&self, place: u16) -> &Quota {
        match place.checked_sub(1) {
            None => &self.first_quota,
            Some(index) => self.more_quotas.get(usize::from(index)).unwrap_or(&self.first_quota),
        }
    }

    /// Whether it decides by a sliding window.
    pub(crate) fn is_sliding(&self) -> bool {
        self.settings.sliding
    }

    /// Whether it decides, counts and tells, and lets everything pass.
    #[inline]
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.settings.rehearsal
    }

    /// Whether refused requests take what is left.
    pub(crate) fn counts_refused(&self) -> bool {
        self.settings.counts_refused
    }

    /// Whether it wants to know how a response ended.
    pub(crate) fn charges(&self) -> bool {
        self.settings.charge.is_some()
    }

    /// The key of a request that has this one; `None` when it has none, and none such are let in.
    pub(crate) fn own_key<'a>(&self, key: Option<Key<'a>>) -> Option<Key<'a>> {
        if key.is_none() {
            return self.keyless();
        }
        self.keyed();
        key
    }

    /// The same, as the memory knows it, for the one limit that has `keys`.
    // The kind of a key is known where this is part of the caller, and then nothing is left of the key.
    #[inline(always)]
    pub(crate) fn key_of<K: Keys>(&self, keys: &K, head: &RequestHead<'_>) -> Option<Fingerprint> {
        let mut fingerprint = None;
        keys.each(head, &mut |key| {
            fingerprint = match key {
                Some(key) => {
                    self.keyed();
                    let fingerprint = self.memory.fingerprint(&key);
                    key.end();
                    Some(fingerprint)
                }
                None => self.keyless().map(|key| self.memory.fingerprint(&key)),
            };
        });
        fingerprint
    }

    /// What every request costs, where that is all there is to choose.
    pub(crate) fn usual_cost(&self) -> Option<u32> {
        match (&self.memory, &self.settings.choice, &self.settings.cost) {
            (Memory::Buckets(_), Choice::One, Cost::Fixed(cost)) => Some(*cost),
            _ => None,
        }
    }

    /// What applies to a request.
    #[inline(always)]
    pub(crate) fn terms(&self, head: &RequestHead<'_>) -> Terms {
        let quota = match &self.settings.choice {
            Choice::One => 0,
            choice => choose(choice, head),
        };
        let cost = match &self.settings.cost {
            Cost::Fixed(cost) => *cost,
            Cost::By(by) => by.cost(head),
        };
        Terms { quota, cost }
    }

    #[inline]
    fn keyed(&self) {
        if self.heeds_keys
            && let Some(absent) = &self.absent
            && !absent.keyed.load(Relaxed)
        {
            absent.keyed.store(true, Relaxed);
        }
    }

    /// The key of a request that has none.
    #[cold]
    fn keyless(&self) -> Option<Key<'static>> {
        if let Some(absent) = &self.absent
            && !absent.keyed.load(Relaxed)
            && (absent.patience == 0 || absent.keyless.fetch_add(1, Relaxed) >= absent.patience)
        {
            absent.fault.report();
        }
        match self.settings.missing {
            MissingKey::Shared => Some(Key::unknown()),
            MissingKey::Refuse => None,
        }
    }

    /// The time of the memory, which begins with the limit.
    #[inline]
    pub(crate) fn since_epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch)
    }

    /// Notes what a new key did to the memory.
    #[cold]
    pub(crate) fn placed(&self, place: Place) {
        match place {
            Place::Known | Place::None => return,
            Place::New => {}
            Place::Evicted => self.telemetry.evicted(),
            Place::Overflow => {
                self.telemetry.overflowed();
                self.crowded.report();
            }
        }
        // At the bound too, for a recorder that was installed since, and when two threads set it out of order.
        self.telemetry.keys(self.memory.keys());
    }

    /// What a response cost beyond what was taken.
    pub(crate) fn charge(&self, outcome: &Outcome) -> Charge {
        self.settings.charge.as_ref().map_or(Charge::Nothing, |charge| charge.charge(outcome))
    }

    /// Charges or gives back, by what became of the request.
    pub(crate) fn settle(&self, note: &Note, now: u64, charge: Charge) {
        let rate = self.quota(note.quota).rate;
        self.memory.settle(note.fingerprint, rate, self.since_epoch(now), charge);
    }
}

/// Whether sliding windows can have these rates.
pub(crate) fn checked_windows(rates: &[Rate]) -> Result<(), ConfigError> {
    if rates.iter().any(|rate| rate.capacity() != rate.limit()) {
        return Err(ConfigError::new("burst", "must be the limit itself in a sliding window"));
    }
    if rates.windows(2).any(|pair| pair[0].period() != pair[1].period()) {
        return Err(ConfigError::new("period", "must be the same for all rates of a sliding window"));
    }
    Ok(())
}

/// The place of the chosen rate, after the one for all others.
fn choose(choice: &Choice, head: &RequestHead<'_>) -> u16 {
    let found = match choice {
        Choice::One => None,
        Choice::Tiers(tiers) => {
            let tier = head.context().and_then(RequestContext::principal).and_then(|who| who.tier());
            tier.and_then(|tier| tiers.iter().position(|(name, _)| **name == *tier))
        }
        Choice::By(rates, by) => by.choose(head).filter(|index| *index < rates.len()),
    };
    // There are at most as many rates as this counts.
    found.and_then(|index| u16::try_from(index + 1).ok()).unwrap_or(0)
}

/// Leaves out closures, which may hold anything.
impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.violation.subject)
            .field("rate", &self.settings.rate.to_string())
            .field("max_keys", &self.settings.max_keys)
            .field("missing", &self.settings.missing)
            .field("sliding", &self.is_sliding())
            .field("keys", &self.memory.keys())
            .finish_non_exhaustive()
    }
}
