//! Authenticator data (WebAuthn Level 3 section 6.1; specification section 9.11).
//!
//! Data that parses has exactly the structure that its flags announce, with nothing left over. Flags and relying party are
//! not checked here, and attested data, which belongs to registrations, is accepted.

use super::cbor::{CborError, CborReader};
use crate::core::hash::Hash;
use crate::core::limits::CREDENTIAL_ID_LEN;
use std::fmt;

/// The flags byte (WebAuthn section 6.1). Reserved bits are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u8);

impl Flags {
    /// UP: a person was present.
    pub fn user_present(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// UV: the person was verified.
    pub fn user_verified(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// BE: the credential may be backed up.
    pub fn backup_eligible(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// BS: the credential is backed up.
    pub fn backed_up(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// AT: attested credential data follows.
    pub fn attested(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// ED: extension data follows.
    pub fn extensions(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// BS implies BE (WebAuthn section 6.1.3).
    pub fn backup_consistent(self) -> bool {
        self.backup_eligible() || !self.backed_up()
    }
}

/// Attested credential data (WebAuthn section 6.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttestedData<'a> {
    /// The model of the authenticator.
    pub aaguid: [u8; 16],
    /// The credential id, 1 to 1,023 bytes.
    pub credential_id: &'a [u8],
    /// The COSE_Key: the exact bytes of one CBOR map, otherwise not checked.
    pub public_key: &'a [u8],
}

/// Parsed authenticator data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthenticatorData<'a> {
    /// SHA-256 of the relying party id.
    pub rp_id_hash: Hash,
    /// The flags.
    pub flags: Flags,
    /// The signature counter; 0 if the authenticator has none.
    pub sign_count: u32,
    /// Present exactly if the AT flag is set.
    pub attested: Option<AttestedData<'a>>,
    /// The exact bytes of one CBOR map; present exactly if the ED flag is set.
    pub extensions: Option<&'a [u8]>,
}

/// Why bytes are not authenticator data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthenticatorDataError {
    /// The bytes end before the data that the flags announce.
    Truncated,
    /// The credential id is empty or longer than 1,023 bytes.
    CredentialIdLength(u16),
    /// The credential's public key is not one CBOR map.
    PublicKey(CborError),
    /// The extension data is not one CBOR map.
    Extensions(CborError),
    /// This many bytes more than the flags announce.
    LeftOver(usize),
}

impl fmt::Display for AuthenticatorDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthenticatorDataError::Truncated => f.write_str("shorter than its flags announce"),
            AuthenticatorDataError::CredentialIdLength(length) => {
                write!(f, "a credential id of {length} bytes")
            }
            AuthenticatorDataError::PublicKey(error) => write!(f, "attested public key: {error}"),
            AuthenticatorDataError::Extensions(error) => write!(f, "extensions: {error}"),
            AuthenticatorDataError::LeftOver(count) => {
                write!(f, "{count} bytes more than its flags announce")
            }
        }
    }
}

impl std::error::Error for AuthenticatorDataError {}

impl<'a> AuthenticatorData<'a> {
    /// Parses authenticator data. The caller must bound its size.
    ///
    /// # Errors
    /// [`AuthenticatorDataError`].
    pub fn parse(bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, AuthenticatorDataError> {
        let mut rest = bytes;
        let rp_id_hash = Hash(take(&mut rest)?);
        let [flags] = take(&mut rest)?;
        let flags = Flags(flags);
        let sign_count = u32::from_be_bytes(take(&mut rest)?);
        let attested = if flags.attested() { Some(AttestedData::parse(&mut rest)?) } else { None };
        let extensions = if flags.extensions() {
            Some(map(&mut rest).map_err(AuthenticatorDataError::Extensions)?)
        } else {
            None
        };
        match rest.len() {
            0 => Ok(AuthenticatorData { rp_id_hash, flags, sign_count, attested, extensions }),
            left => Err(AuthenticatorDataError::LeftOver(left)),
        }
    }
}

impl<'a> AttestedData<'a> {
    fn parse(rest: &mut &'a [u8]) -> Result<AttestedData<'a>, AuthenticatorDataError> {
        let aaguid = take(rest)?;
        let length = u16::from_be_bytes(take(rest)?);
        if !CREDENTIAL_ID_LEN.contains(&usize::from(length)) {
            return Err(AuthenticatorDataError::CredentialIdLength(length));
        }
        let (credential_id, after) =
            rest.split_at_checked(usize::from(length)).ok_or(AuthenticatorDataError::Truncated)?;
        *rest = after;
        let public_key = map(rest).map_err(AuthenticatorDataError::PublicKey)?;
        Ok(AttestedData { aaguid, credential_id, public_key })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], AuthenticatorDataError> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(AuthenticatorDataError::Truncated)?;
    *rest = after;
    Ok(*taken)
}

/// The exact bytes of the CBOR map at the front.
fn map<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], CborError> {
    CborReader::new(rest).map()?;
    let mut reader = CborReader::new(rest);
    let item = reader.item()?;
    *rest = reader.rest();
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(flags: u8, tail: &[u8]) -> Vec<u8> {
        [&[7; 32][..], &[flags, 0x80, 0, 0, 1], tail].concat()
    }

    #[test]
    fn every_truncation_and_one_byte_more_is_refused() {
        let attested = [&[9; 16][..], &[0, 2, 1, 2], &[0xa1, 0x01, 0x02]].concat();
        let full = data(0xc1, &[&attested[..], &[0xa1, 0x61, b'x', 0xf5]].concat());
        let parsed = AuthenticatorData::parse(&full).unwrap();
        assert_eq!(parsed.sign_count, 0x8000_0001);
        assert_eq!(parsed.attested.unwrap().credential_id, [1, 2]);
        assert_eq!(parsed.attested.unwrap().public_key, [0xa1, 0x01, 0x02]);
        assert_eq!(parsed.extensions.unwrap(), [0xa1, 0x61, b'x', 0xf5]);
        for end in 0..full.len() {
            assert!(AuthenticatorData::parse(&full[..end]).is_err(), "{end}");
        }
        let longer = [&full[..], &[0]].concat();
        assert_eq!(AuthenticatorData::parse(&longer), Err(AuthenticatorDataError::LeftOver(1)));
    }

    #[test]
    fn flags_announce_exactly_what_follows() {
        assert!(AuthenticatorData::parse(&data(0x05, &[])).is_ok());
        assert_eq!(AuthenticatorData::parse(&data(0x05, &[0xa0])), Err(AuthenticatorDataError::LeftOver(1)));
        assert!(AuthenticatorData::parse(&data(0x85, &[0xa0])).is_ok());
        for tail in [&[][..], &[0x80], &[0xa0, 0xa0], &[0xa1, 0x01], &[0xbf, 0xff]] {
            assert!(AuthenticatorData::parse(&data(0x85, tail)).is_err(), "{tail:x?}");
        }
        for length in [0_u16, 1024, 65535] {
            let tail = [&[9; 16][..], &length.to_be_bytes(), &[1; 2000], &[0xa0]].concat();
            let refused = Err(AuthenticatorDataError::CredentialIdLength(length));
            assert_eq!(AuthenticatorData::parse(&data(0x41, &tail)), refused);
        }
    }

    #[test]
    fn each_flag_is_its_own_bit() {
        let read = |bits: u8| {
            let flags = Flags(bits);
            [
                flags.user_present(),
                flags.user_verified(),
                flags.backup_eligible(),
                flags.backed_up(),
                flags.attested(),
                flags.extensions(),
            ]
        };
        for (i, bit) in [0x01, 0x04, 0x08, 0x10, 0x40, 0x80].into_iter().enumerate() {
            let mut expected = [false; 6];
            expected[i] = true;
            assert_eq!(read(bit), expected);
        }
        assert_eq!(read(0x22), [false; 6]);
        assert!(!Flags(0x10).backup_consistent());
        assert!(
            Flags(0x18).backup_consistent()
                && Flags(0x08).backup_consistent()
                && Flags(0).backup_consistent()
        );
    }
}
