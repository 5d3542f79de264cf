//! A client of a schema registry with Confluent's interface: registering and looking up schemas, with what was asked kept.
//! No more of the interface than a producer needs.

mod http;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cdc_api::{Error, OptionFault, Options, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use http::{Address, Answer, Http};

/// Where the registry is and how to log in.
#[derive(Clone)]
pub(crate) struct RegistrySettings {
    addresses: Vec<Address>,
    authorization: Option<String>,
    ca: Option<String>,
    registers: bool,
}

impl RegistrySettings {
    /// Reads `avro.schema-registry.*`; none without an address.
    pub(crate) fn read(options: &Options, faults: &mut Vec<OptionFault>) -> Option<Self> {
        const URL: &str = "avro.schema-registry.url";
        let text = options.text(URL)?;
        let mut addresses = Vec::new();
        for url in text.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            match Address::parse(url) {
                Ok(address) => addresses.push(address),
                Err(why) => {
                    faults.push(OptionFault::new(URL, why).hint("such as http://registry:8081"))
                }
            }
        }
        let option =
            |key: &str| options.text(&format!("avro.schema-registry.{key}")).map(str::to_owned);
        let authorization = match (option("bearer-token"), option("username")) {
            (Some(token), _) => Some(format!("Bearer {}", token.trim())),
            (None, Some(user)) => {
                let login = format!("{user}:{}", option("password").unwrap_or_default());
                let mut basic = b"Basic ".to_vec();
                crate::json::push_base64(&mut basic, login.as_bytes());
                Some(String::from_utf8_lossy(&basic).into_owned())
            }
            (None, None) => None,
        };
        if authorization.as_deref().is_some_and(|text| text.contains(['\r', '\n'])) {
            faults
                .push(OptionFault::new("avro.schema-registry.bearer-token", "holds a line break"));
        }
        (!addresses.is_empty()).then_some(RegistrySettings {
            addresses,
            authorization,
            ca: option("ssl.ca.location"),
            registers: options.boolean("avro.auto-register"),
        })
    }
}

/// A schema under its subject's name.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) schema: String,
}

/// The registry.
pub(crate) struct Registry {
    http: Http,
    registers: bool,
    /// By subject and the body that was asked with.
    known: Mutex<HashMap<(String, String), u32>>,
}

#[derive(Deserialize)]
struct Found {
    id: u32,
    #[serde(default)]
    version: Option<u32>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error_code: u32,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// # Errors
    /// `Config` when the file with the authorities cannot be read.
    pub(crate) fn new(settings: &RegistrySettings) -> Result<Registry> {
        Ok(Registry {
            http: Http::new(
                settings.addresses.clone(),
                settings.authorization.clone(),
                settings.ca.as_deref(),
            )?,
            registers: settings.registers,
            known: Mutex::default(),
        })
    }

    /// Whether it answers, and takes the login.
    pub(crate) async fn reach(&self) -> Result<()> {
        let answer = self.http.ask("GET", "/subjects", None).await?;
        if answer.status < 400 { Ok(()) } else { Err(self.refused("cannot be used", &answer)) }
    }

    /// The number of a schema under a subject; registers it where that is allowed. References are names with versions;
    /// each name is also its subject.
    pub(crate) async fn id(
        &self,
        subject: &str,
        schema: &str,
        references: &[(String, u32)],
    ) -> Result<u32> {
        // What a schema refers to is part of it: an envelope of the same text has another number when its row changed.
        let body = body(schema, references).to_string();
        let key = (subject.to_owned(), body);
        if let Some(id) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let id = self.ask(subject, &key.1, self.registers).await?.id;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        Ok(id)
    }

    /// The version that a schema has under its subject.
    pub(crate) async fn version(&self, subject: &Subject) -> Result<u32> {
        self.id(&subject.name, &subject.schema, &[]).await?;
        let found = self.ask(&subject.name, &body(&subject.schema, &[]).to_string(), false).await?;
        found.version.ok_or_else(|| {
            Error::operator(format!("the schema registry has no version of \"{}\"", subject.name))
                .hint("avro.references.enabled needs a registry that answers with versions")
        })
    }

    async fn ask(&self, subject: &str, body: &str, register: bool) -> Result<Found> {
        let tail = if register { "/versions" } else { "" };
        let path = format!("/subjects/{}{tail}", http::escape(subject));
        let answer = self.http.ask("POST", &path, Some(body)).await?;
        if answer.status >= 400 {
            return Err(self.refused(&format!("refuses the schema of \"{subject}\""), &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            Error::operator("the schema registry's answer cannot be read")
                .hint(
                    "check that avro.schema-registry.url is a registry with Confluent's interface",
                )
                .caused_by(error)
        })
    }

    fn refused(&self, what: &str, answer: &Answer) -> Error {
        let said: Option<Refusal> = serde_json::from_slice(&answer.body).ok();
        let (code, message) =
            said.map_or((0, String::new()), |said| (said.error_code, said.message));
        let error = match answer.status {
            500.. | 429 => Error::transient(format!("the schema registry {what}")),
            _ => Error::operator(format!("the schema registry {what}")),
        };
        let error = error.detail(format!("status {}: {message}", answer.status));
        match (answer.status, code) {
            (401 | 403, _) => error.hint("check avro.schema-registry.username and .password, or .bearer-token, and what they may do"),
            (409, _) => error.hint("the table's new schema is not compatible with the subject's: relax the subject's compatibility, or let consumers move to another subject; tables that share a topic need avro.subject.strategy: record or topic-record"),
            (404, _) if !self.registers => error.hint("register the schema, or set avro.auto-register: true"),
            (404, _) => error.hint("check the path in avro.schema-registry.url"),
            (422, _) => error.hint("the registry does not take this schema; see what it says"),
            _ => error,
        }
    }
}

fn body(schema: &str, references: &[(String, u32)]) -> Value {
    let mut body = json!({"schema": schema});
    if !references.is_empty() {
        let list = references
            .iter()
            .map(|(name, version)| json!({"name": name, "subject": name, "version": version}));
        body["references"] = list.collect();
    }
    body
}
