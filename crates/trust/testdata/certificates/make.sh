#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the certificates of this folder anew, with OpenSSL 3: for each case a chain (signer, authority), the signer's public
# key, and the root. The private keys are thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat > "$work/authority.ext" <<EOF
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
EOF
cat > "$work/signer.ext" <<EOF
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
certificatePolicies = 1.3.6.1.4.1.32473.1
subjectKeyIdentifier = hash
EOF

# issue NAME EXTENSIONS ISSUER HASH [OPTIONS OF THE SIGNATURE]
issue() {
    name=$1 extensions=$2 issuer=$3 hash=$4
    shift 4
    openssl req -new -key "$work/$name.key" -subj "/CN=$name/O=example" -out "$work/request"
    openssl x509 -req -in "$work/request" -CA "$work/$issuer.crt" -CAkey "$work/$issuer.key" -days 3650 \
        -extfile "$work/$extensions.ext" "-$hash" "$@" -out "$work/$name.crt" 2> /dev/null
}

# make CASE HASH "OPTIONS OF KEYS OF AUTHORITIES" "OPTIONS OF THE KEY OF THE SIGNER" [OPTIONS OF SIGNATURES]
make() {
    case=$1 hash=$2 authority=$3 signer=$4
    shift 4
    for name in root middle; do openssl genpkey $authority -out "$work/$name.key" 2> /dev/null; done
    openssl genpkey $signer -out "$work/signer.key" 2> /dev/null
    openssl req -x509 -new -key "$work/root.key" -subj /CN=root -days 3650 "-$hash" "$@" -out "$work/root.crt"
    issue middle authority root "$hash" "$@"
    issue signer signer middle "$hash" "$@"
    cat "$work/signer.crt" "$work/middle.crt" > "$case.pem"
    cp "$work/root.crt" "$case-root.pem"
    openssl pkey -in "$work/signer.key" -pubout -out "$case.pub"
}

ec="-algorithm EC -pkeyopt ec_paramgen_curve"
rsa="-algorithm RSA -pkeyopt rsa_keygen_bits:3072"
make pss sha384 "$rsa" "$ec:P-256" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
make ecdsa sha384 "$ec:P-384" "-algorithm ED25519"
make rsa sha512 "$rsa" "$rsa"
