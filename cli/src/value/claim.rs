//! Who a caller claims to be.

use posthaste_std::onc::{AuthSys, Claim};

/// Reads `UID:GID[,GID…][@MACHINE]`, a claim by `AUTH_SYS` (RFC 5531 appendix A); without a machine, its name is empty.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_claim(text: &str) -> Result<Claim, &'static str> {
    let (user, machine) = text.split_once('@').unwrap_or((text, ""));
    let (uid, gids) = user.split_once(':').ok_or(FORM)?;
    let gids = gids.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
    let (gid, other_gids) = gids.split_first().ok_or(FORM)?;
    match AuthSys::new(machine.as_bytes(), number(uid)?, *gid, other_gids) {
        Ok(claim) => Ok(Claim::from(&claim)),
        Err(_) => Err("AUTH_SYS has room for 16 groups beside the first, and for 255 octets of a machine's name"),
    }
}

fn number(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| FORM)
}

const FORM: &str = "write numbers: UID:GID, UID:GID,GID,GID or UID:GID@MACHINE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_user_its_groups_and_perhaps_a_machine() {
        for (text, machine, uid, gid, others) in [
            ("0:0", "", 0, 0, &[][..]),
            ("1000:100,4,20", "", 1000, 100, &[4, 20]),
            ("4294967295:1@host.example", "host.example", u32::MAX, 1, &[]),
        ] {
            let claim = AuthSys::new(machine.as_bytes(), uid, gid, others).unwrap();
            assert_eq!(parse_claim(text), Ok(Claim::from(&claim)), "{text}");
        }
    }

    #[test]
    fn what_is_no_claim_is_refused() {
        let many = format!("0:0{}", ",1".repeat(17));
        let long = format!("0:0@{}", "a".repeat(256));
        for text in ["", "0", ":", "0:", "0:0,", "a:0", "0:-1", "4294967296:0", &many, &long] {
            assert!(parse_claim(text).is_err(), "{text}");
        }
    }
}
