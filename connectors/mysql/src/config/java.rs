//! Options of the Java driver and of Debezium that mean something here, and those that would change rows.

use cdc_api::{OptionFault, Options};

use crate::wire::TlsMode;

/// The TLS mode that Connector/J's properties ask for; none when they are silent.
pub(super) fn tls_mode(options: &Options, faults: &mut Vec<OptionFault>) -> Option<TlsMode> {
    if let Some(word) = options.text("jdbc.properties.sslMode") {
        return match word.trim().to_ascii_uppercase().as_str() {
            "DISABLED" => Some(TlsMode::Disabled),
            "PREFERRED" => Some(TlsMode::Preferred),
            "REQUIRED" => Some(TlsMode::Required),
            "VERIFY_CA" => Some(TlsMode::VerifyCa),
            "VERIFY_IDENTITY" => Some(TlsMode::VerifyFull),
            _ => {
                let message = format!("\"{word}\" is not a mode of Connector/J");
                let fault = OptionFault::new("jdbc.properties.sslMode", message).hint(
                    "write tls.mode: preferred, disabled, required, verify-ca or verify-full",
                );
                faults.push(fault);
                None
            }
        };
    }
    if !options.is_set("jdbc.properties.useSSL") {
        return None;
    }
    Some(if !options.boolean("jdbc.properties.useSSL") {
        TlsMode::Disabled
    } else if options.boolean("jdbc.properties.verifyServerCertificate") {
        TlsMode::VerifyCa
    } else if options.boolean("jdbc.properties.requireSSL") {
        TlsMode::Required
    } else {
        TlsMode::Preferred
    })
}

/// Faults for what would change rows and is not known by its whole key.
pub(super) fn check(options: &Options, faults: &mut Vec<OptionFault>) {
    for (name, _) in options.with_prefix("debezium.") {
        if name.ends_with(".handling.mode") {
            let fault = OptionFault::new(format!("debezium.{name}"), "is not supported")
                .hint("leave it out: it would change rows");
            faults.push(fault);
        }
    }
    let zero_dates = "jdbc.properties.zeroDateTimeBehavior";
    if let Some(word) = options.text(zero_dates) {
        let plain: String = word.chars().filter(char::is_ascii_alphabetic).collect();
        if !plain.eq_ignore_ascii_case("converttonull") {
            let message = format!("\"{word}\" is not supported");
            faults.push(
                OptionFault::new(zero_dates, message).hint("write temporal.invalid: null or error"),
            );
        }
    }
}
