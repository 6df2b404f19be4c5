#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Certifies the key of `ecdsa.pem` anew, with OpenSSL 3: by one authority and for several purposes. The keys of the authorities are
# thrown away, so all of it is made at once.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

authority() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$work/$1.key" 2> /dev/null
    openssl req -x509 -new -key "$work/$1.key" -subj "/CN=$1" -days 3650 -sha384 -out "$1.pem"
}

# certify NAME PURPOSE [MORE EXTENSIONS]
certify() {
    {
        echo "basicConstraints = critical, CA:false"
        echo "keyUsage = critical, digitalSignature"
        echo "extendedKeyUsage = $2"
        echo "${3-}"
    } > "$work/extensions"
    openssl req -new -key ecdsa.pem -subj "/CN=$1/O=example" -out "$work/request"
    openssl x509 -req -in "$work/request" -CA authority.pem -CAkey "$work/authority.key" -days 3650 -sha384 \
        -extfile "$work/extensions" -out "$work/certificate" 2> /dev/null
    cat ecdsa.pub "$work/certificate" > "ecdsa-$1.pub"
}

authority authority
authority other-authority
certify certified codeSigning "certificatePolicies = 1.3.6.1.4.1.32473.1"
certify other-arc codeSigning "certificatePolicies = 1.3.6.1.4.1.9.1"
certify without-number codeSigning
certify for-servers serverAuth "certificatePolicies = 1.3.6.1.4.1.32473.1"
cat rsa.pub "$work/certificate" > rsa-with-another.pub
