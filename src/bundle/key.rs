//! Key files: the secret key `NAME.key` signs bundles, the public key `NAME.pub` verifies them.
//!
//! Each has two lines of text: its kind, and the 32 bytes of the key in hexadecimal.

use std::io;
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use macula_edge::bundle::{PublicKey, SIGNATURE_LEN};

use crate::files::{PRIVATE_FILE, WriteError, read_text_bounded, write_new};

/// Longest key file in bytes.
const FILE_MAX: u64 = 4096;

/// First line of a secret key file.
pub const SECRET_HEAD: &str = "macula secret key 1: signs bundles, keep it private";
/// First line of a public key file.
pub const PUBLIC_HEAD: &str = "macula public key 1: verifies bundles, give it to every device";

/// A key could not be generated, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read key {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// The file is a key of the other kind.
    #[error("{path} is a {found} key, but a {needed} key is needed")]
    OtherKind {
        /// The file.
        path: String,
        /// Its kind.
        found: &'static str,
        /// The kind that is needed.
        needed: &'static str,
    },
    /// Other users can read the secret key.
    #[error(
        "secret key {path} can be read by other users (mode {mode:o}); run chmod 600 {path}, and generate a new key if it may have been read"
    )]
    TooOpen {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key.
    #[error("{path} is not a {needed} key: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// The kind that is needed.
        needed: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system's random generator failed.
    #[error("cannot generate a key, the system's random generator failed: {0}")]
    Random(String),
}

/// A secret key with its public one.
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// Generates a key pair with the system's random generator, never from a seed.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self::from_secret(secret))
    }

    /// The key pair of a secret key.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// Reads `NAME.key`.
    ///
    /// # Errors
    /// When the file is not a secret key, or other users may read it: anyone who reads it can sign.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        check_private(path)?;
        Ok(Self::from_secret(read_key(path, "secret")?))
    }

    /// Writes the secret key, readable by its owner only, and the public key.
    ///
    /// # Errors
    /// When one of the files exists: an overwritten key would be lost.
    pub fn write_new(&self, secret: &Path, public: &Path) -> Result<(), KeyError> {
        if public.exists() {
            return Err(WriteError::exists(public).into());
        }
        write_new(secret, text(SECRET_HEAD, self.0.as_bytes()).as_bytes(), PRIVATE_FILE)?;
        write_new(public, text(PUBLIC_HEAD, &self.public().0).as_bytes(), 0o644)?;
        Ok(())
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The signature of `bytes`.
    pub fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(bytes).to_bytes()
    }
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let name = || path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(|source| KeyError::Read { path: name(), source })?;
    match metadata.permissions().mode() & 0o777 {
        mode if metadata.is_file() && mode & 0o077 != 0 => Err(KeyError::TooOpen { path: name(), mode }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), KeyError> {
    Ok(())
}

/// Reads `NAME.pub`.
///
/// # Errors
/// When the file is not a public key.
pub fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    Ok(PublicKey(read_key(path, "public")?))
}

fn text(head: &str, key: &[u8; 32]) -> String {
    format!("{head}\n{}\n", base16ct::lower::encode_string(key))
}

fn read_key(path: &Path, needed: &'static str) -> Result<[u8; 32], KeyError> {
    let name = || path.display().to_string();
    let text =
        read_text_bounded(path, FILE_MAX).map_err(|error| KeyError::Read { path: name(), source: error.source })?;
    let malformed = |message: &str| KeyError::Malformed { path: name(), needed, message: message.to_owned() };
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let kind = ["secret", "public"].into_iter().find(|kind| head.starts_with(&format!("macula {kind} key ")));
    let Some(found) = kind else { return Err(malformed("its first line is not that of a key file")) };
    if found != needed {
        return Err(KeyError::OtherKind { path: name(), found, needed });
    }
    if !head.starts_with(&format!("macula {found} key 1:")) {
        return Err(malformed("a newer version of the program wrote it"));
    }
    let digits = lines.next().unwrap_or_default().trim();
    if digits.len() != 64 || !digits.is_ascii() || lines.any(|line| !line.trim().is_empty()) {
        return Err(malformed("it must hold 64 hexadecimal digits in its second line, and nothing after them"));
    }
    let mut key = [0; 32];
    base16ct::mixed::decode(digits, &mut key)
        .map_err(|_| malformed("its second line has other characters than hexadecimal digits"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2: secret key, public key, and the signature of the byte 72.
    #[test]
    fn signature_is_that_of_rfc_8032() {
        let bytes = |digits: &str| base16ct::lower::decode_vec(digits).unwrap();
        let secret = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let pair = KeyPair::from_secret(secret.try_into().unwrap());
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(pair.public().to_string(), public);
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(pair.sign(&[0x72])[..], signature);
    }

    #[test]
    fn keys_are_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("a.key"), folder.path().join("a.pub"));
        let pair = KeyPair::generate().unwrap();
        pair.write_new(&secret, &public).unwrap();
        assert_eq!(KeyPair::read(&secret).unwrap().public(), pair.public());
        assert_eq!(read_public(&public).unwrap(), pair.public());
        assert_ne!(KeyPair::generate().unwrap().public(), pair.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&secret), mode(&public)), (0o600, 0o644));
        }
        #[cfg(unix)]
        for mode in [0o640, 0o604, 0o666] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(KeyPair::read(&secret), Err(KeyError::TooOpen { mode: found, .. }) if found == mode));
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o400)).unwrap();
            assert!(KeyPair::read(&secret).is_ok());
        }
        let before = std::fs::read(&secret).unwrap();
        assert!(KeyPair::generate().unwrap().write_new(&secret, &public).is_err());
        // The secret key is kept even if only the public key is missing.
        std::fs::remove_file(&public).unwrap();
        assert!(KeyPair::generate().unwrap().write_new(&secret, &public).is_err());
        assert_eq!(std::fs::read(&secret).unwrap(), before);
    }

    #[test]
    fn files_that_are_not_public_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let digits = "ab".repeat(32);
        std::fs::write(&path, format!("{SECRET_HEAD}\n{digits}\n")).unwrap();
        assert!(matches!(read_public(&path), Err(KeyError::OtherKind { found: "secret", needed: "public", .. })));
        for content in [
            "macula public key 2: new\n00".to_owned(),
            format!("{PUBLIC_HEAD}\n{}\n", &digits[2..]),
            format!("{PUBLIC_HEAD}\n{}zz\n", &digits[2..]),
            format!("{PUBLIC_HEAD}\n{digits}\n{digits}\n"),
            String::new(),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert!(matches!(read_public(&path), Err(KeyError::Malformed { .. })), "{content}");
        }
        std::fs::write(&path, format!("{PUBLIC_HEAD}\n{digits}")).unwrap();
        assert_eq!(read_public(&path).unwrap(), PublicKey([0xab; 32]));
    }
}
