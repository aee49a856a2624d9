//! All contracts of a program.

use std::{collections::BTreeMap, error::Error, fmt};

use bartizan_core::Violation;
use serde_json::Value;

use super::{Compatibility, Contract};
use crate::JsonLimits;

/// The contracts of a program, by name and version.
///
/// ```
/// use bartizan_validate::{Compatibility, Contract, Contracts};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let first = json!({
///     "type": "object",
///     "required": ["id"],
///     "properties": { "id": { "type": "integer" }, "note": { "type": "string" } },
/// });
/// let contracts = Contracts::new().with(Contract::new("order.placed", 1, &first)?)?;
/// assert!(contracts.validate("order.placed", 1, br#"{"id":7}"#).is_ok());
/// assert!(contracts.validate("order.placed", 1, br#"{"id":"seven"}"#).is_err());
///
/// // A version that asks for more breaks what the older one wrote, and shows how.
/// let second = json!({ "type": "object", "required": ["id", "note"] });
/// let second = Contract::new("order.placed", 2, &second)?;
/// let Compatibility::Breaks { example, .. } = contracts.compatibility(&second) else { panic!() };
/// assert!(example.get("note").is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Contracts {
    contracts: BTreeMap<String, BTreeMap<u32, Contract>>,
    limits: JsonLimits,
}

/// A contract that cannot be added, or a message that keeps none.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContractError {
    /// There is a contract of this name and version already.
    Duplicate,
    /// It refuses messages that the version before accepts, or may.
    Incompatible {
        /// The version before.
        older: u32,
        /// How they compare.
        compatibility: Compatibility,
    },
    /// There is no contract of this name and version.
    Unknown,
    /// The message breaks its contract: at these places.
    Message(Vec<Violation>),
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate => f.write_str("there is a contract of this name and version already"),
            Self::Incompatible { older, compatibility } => {
                write!(f, "not compatible with version {older}: {compatibility}")
            }
            Self::Unknown => f.write_str("there is no contract of this name and version"),
            Self::Message(violations) => {
                write!(f, "the message breaks its contract in {} places", violations.len())
            }
        }
    }
}

impl Error for ContractError {}

impl Contracts {
    /// No contracts yet, and the default limits for messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// How large a message may be. Default: [`JsonLimits::new`].
    pub fn with_limits(self, limits: JsonLimits) -> Self {
        Self { limits, ..self }
    }

    /// One more contract, whatever its older versions say.
    ///
    /// # Errors
    ///
    /// When there is one of its name and version already.
    pub fn with(mut self, contract: Contract) -> Result<Self, ContractError> {
        let versions = self.contracts.entry(contract.name().to_owned()).or_default();
        if versions.contains_key(&contract.version()) {
            return Err(ContractError::Duplicate);
        }
        versions.insert(contract.version(), contract);
        Ok(self)
    }

    /// One more contract, which must accept all that the version before accepts, provably.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with), and when it is not [`Compatibility::Compatible`] with the version before.
    pub fn with_compatible(self, contract: Contract) -> Result<Self, ContractError> {
        match self.before(&contract) {
            None => self.with(contract),
            Some(older) => match contract.accepts_all_of(older) {
                Compatibility::Compatible => self.with(contract),
                compatibility => Err(ContractError::Incompatible { older: older.version(), compatibility }),
            },
        }
    }

    /// Whether `contract` accepts every message that the version before it accepts. Without one, it does.
    pub fn compatibility(&self, contract: &Contract) -> Compatibility {
        self.before(contract).map_or(Compatibility::Compatible, |older| contract.accepts_all_of(older))
    }

    fn before(&self, contract: &Contract) -> Option<&Contract> {
        let versions = self.contracts.get(contract.name())?;
        versions.range(..contract.version()).next_back().map(|(_, older)| older)
    }

    /// The contract of this name and version.
    pub fn get(&self, name: &str, version: u32) -> Option<&Contract> {
        self.contracts.get(name)?.get(&version)
    }

    /// The newest contract of this name.
    pub fn latest(&self, name: &str) -> Option<&Contract> {
        self.contracts.get(name)?.values().next_back()
    }

    /// All contracts, by name and then by version.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.contracts.values().flat_map(BTreeMap::values)
    }

    /// The message, if it keeps the contract of this name and version. It is read under limits, strictly, as the layers
    /// read bodies.
    ///
    /// # Errors
    ///
    /// When there is no such contract, or the message breaks it.
    pub fn validate(&self, name: &str, version: u32, message: &[u8]) -> Result<Value, ContractError> {
        let contract = self.get(name, version).ok_or(ContractError::Unknown)?;
        contract.validate(message, &self.limits).map_err(ContractError::Message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contract(version: u32, required: &[&str]) -> Contract {
        let schema = json!({
            "type": "object",
            "required": required,
            "properties": { "id": { "type": "integer" }, "note": { "type": "string" } },
        });
        Contract::new("order.placed", version, &schema).unwrap()
    }

    #[test]
    fn a_contract_tells_its_fields() {
        let contract = contract(1, &["id"]);
        assert_eq!(contract.required_fields().collect::<Vec<_>>(), ["id"]);
        assert_eq!(contract.optional_fields().collect::<Vec<_>>(), ["note"]);
        let plain = Contract::new("any", 1, &json!(true)).unwrap();
        assert_eq!((plain.required_fields().count(), plain.optional_fields().count()), (0, 0));
    }

    #[test]
    fn contracts_are_found_by_name_and_version() {
        let contracts = Contracts::new().with(contract(1, &["id"])).unwrap().with(contract(3, &[])).unwrap();
        assert_eq!(contracts.get("order.placed", 1).unwrap().version(), 1);
        assert!(contracts.get("order.placed", 2).is_none() && contracts.get("other", 1).is_none());
        assert_eq!(contracts.latest("order.placed").unwrap().version(), 3);
        assert_eq!(contracts.iter().map(Contract::version).collect::<Vec<_>>(), [1, 3]);
        assert!(matches!(contracts.with(contract(3, &[])), Err(ContractError::Duplicate)));
    }

    #[test]
    fn a_version_must_accept_what_the_one_before_it_does() {
        let contracts = Contracts::new().with_compatible(contract(2, &["id"])).unwrap();
        let Err(ContractError::Incompatible { older: 2, compatibility }) =
            contracts.clone().with_compatible(contract(4, &["id", "note"]))
        else {
            panic!("it asks for more")
        };
        assert!(matches!(compatibility, Compatibility::Breaks { .. }));
        assert!(compatibility.to_string().contains("`note` is required"), "{compatibility}");
        let contracts = contracts.with_compatible(contract(3, &[])).unwrap();
        // Against the version before, which is not the newest.
        assert_eq!(contracts.compatibility(&contract(1, &["id"])), Compatibility::Compatible);
        assert!(matches!(contracts.compatibility(&contract(4, &["id"])), Compatibility::Breaks { .. }));
    }

    #[test]
    fn val_02_and_val_03_a_message_is_read_as_strictly_as_a_body() {
        let limits = JsonLimits::new().with_max_body(30).unwrap();
        let contracts = Contracts::new().with_limits(limits).with(contract(1, &["id"])).unwrap();
        let code = |message: &str| match contracts.validate("order.placed", 1, message.as_bytes()) {
            Ok(_) => "",
            Err(ContractError::Message(violations)) => violations[0].code(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(code(r#"{"id":7}"#), "");
        assert_eq!(code(r#"{"id":7,"id":8}"#), "duplicate_key");
        assert_eq!(code(r#"{"note":"x"}"#), "required");
        assert_eq!(code(&format!("{{\"id\":{}}}", "7".repeat(40))), "json_limit");
        assert_eq!(code(r#"{"id":1e999}"#), "json_limit");
        assert!(matches!(contracts.validate("order.placed", 2, b"{}"), Err(ContractError::Unknown)));
    }
}
