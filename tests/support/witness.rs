//! Witnesses with private keys: they cosign any checkpoint at any time, in both types of C2SP tlog-cosignature,
//! and write the policies that name them.

use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
use countersign::core::encoding::{encode_base64, encode_hex};
use countersign::core::hash::sha256;
use ed25519_dalek::{Signer as _, SigningKey};

/// A witness.
pub struct TestWitness {
    name: String,
    key: Key,
}

enum Key {
    Ed25519(SigningKey),
    MlDsa44(PqdsaKeyPair),
}

impl TestWitness {
    /// Type 0x04; one key for one seed. The name is the key's, as signature lines have it.
    pub fn ed25519(name: &str, seed: u8) -> TestWitness {
        TestWitness { name: name.to_owned(), key: Key::Ed25519(SigningKey::from_bytes(&[seed; 32])) }
    }

    /// Type 0x06; one key for one seed.
    pub fn ml_dsa_44(name: &str, seed: u8) -> TestWitness {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[seed; 32]).unwrap();
        TestWitness { name: name.to_owned(), key: Key::MlDsa44(pair) }
    }

    /// The type byte and the public key.
    fn typed_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Ed25519(key) => [&[4][..], key.verifying_key().as_bytes()].concat(),
            Key::MlDsa44(pair) => [&[6][..], pair.public_key().as_ref()].concat(),
        }
    }

    fn id(&self) -> [u8; 4] {
        sha256(&[self.name.as_bytes(), b"\n", &self.typed_key()].concat()).0[..4].try_into().unwrap()
    }

    /// What a policy's witness line holds.
    pub fn vkey(&self) -> String {
        format!("{}+{}+{}", self.name, encode_hex(&self.id()), encode_base64(&self.typed_key()))
    }

    /// What follows the key id in a signature line: the time, and the signature over the text of a checkpoint.
    pub fn timestamped_signature(&self, text: &str, time: u64) -> Vec<u8> {
        let signature = match &self.key {
            Key::Ed25519(key) => {
                key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes()).to_bytes().to_vec()
            }
            Key::MlDsa44(pair) => {
                let mut signature = vec![0; 2420];
                pair.sign(&cosigned_message(&self.name, text, time), &mut signature).unwrap();
                signature
            }
        };
        [&time.to_be_bytes()[..], &signature].concat()
    }

    /// A signature line of this witness with any bytes behind its key id.
    pub fn line(&self, timestamped_signature: &[u8]) -> String {
        let bytes = [&self.id()[..], timestamped_signature].concat();
        format!("\u{2014} {} {}\n", self.name, encode_base64(&bytes))
    }

    /// The checkpoint with a cosignature of this witness behind its lines.
    pub fn cosign(&self, checkpoint: &[u8], time: u64) -> Vec<u8> {
        let signature = self.timestamped_signature(text_of(checkpoint), time);
        [checkpoint, self.line(&signature).as_bytes()].concat()
    }

    /// The checkpoint with a line that says it is by this witness, and is over another text.
    pub fn forge(&self, checkpoint: &[u8], time: u64) -> Vec<u8> {
        let other = text_of(checkpoint).replacen('\n', "/other\n", 1);
        [checkpoint, self.line(&self.timestamped_signature(&other, time)).as_bytes()].concat()
    }
}

/// The text that a checkpoint's signatures are over.
pub fn text_of(checkpoint: &[u8]) -> &str {
    let note = std::str::from_utf8(checkpoint).unwrap();
    &note[..note.rfind("\n\n").unwrap() + 1]
}

/// C2SP tlog-cosignature, `cosigned_message`, written down here a second time.
fn cosigned_message(cosigner: &str, text: &str, time: u64) -> Vec<u8> {
    let lines: Vec<&str> = text.lines().collect();
    let size: u64 = lines[1].parse().unwrap();
    let root = countersign::core::encoding::decode_base64(lines[2]).unwrap();
    [
        b"subtree/v1\n\0",
        &[u8::try_from(cosigner.len()).unwrap()][..],
        cosigner.as_bytes(),
        &time.to_be_bytes(),
        &[u8::try_from(lines[0].len()).unwrap()],
        lines[0].as_bytes(),
        &[0; 8],
        &size.to_be_bytes(),
        &root,
    ]
    .concat()
}

/// The policy that asks for cosignatures of `k` of these witnesses, who are called `w0`, `w1` and so on.
pub fn policy(log_keys: &[&str], witnesses: &[&TestWitness], k: usize) -> String {
    let mut text = String::new();
    for key in log_keys {
        text += &format!("log {key}\n");
    }
    for (n, witness) in witnesses.iter().enumerate() {
        text += &format!("witness w{n} {}\n", witness.vkey());
    }
    let names: Vec<String> = (0..witnesses.len()).map(|n| format!("w{n}")).collect();
    text + &format!("group them {k} {}\nquorum them\n", names.join(" "))
}
