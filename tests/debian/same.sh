# SPDX-License-Identifier: Apache-2.0
# Runs in the guest and on the host, in a folder with `data`, `parts` and this; tests/debian.py asks for equal output.
# Usage: bash same.sh PART...

key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=00112233445566778899aabbccddeeff

versions() {
    openssl version
    xz --version
    gzip --version | head -n 1
    bzip2 --version 2>&1 </dev/null | head -n 1
    perl -e 'print "perl $^V\n"'
    sqlite3 --version
}

digests() {
    for name in $(openssl list -digest-commands); do
        openssl dgst "-$name" data
    done 2>&1 | grep -v ':error:'
    for name in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum; do
        $name data
    done
}

ciphers() {
    head -c 100000 data >plain
    for name in $(openssl enc -list | grep -o -- '-[a-z0-9-]*'); do
        openssl enc "$name" -K $key -iv $iv -in plain -out secret 2>/dev/null || continue
        openssl enc -d "$name" -K $key -iv $iv -in secret -out again 2>/dev/null
        cmp -s plain again && echo "$name $(sha256sum <secret)"
    done
    # Key exchange and signatures with keys that are derived, not drawn.
    openssl prime 170141183460469231731687303715884105727
    openssl kdf -keylen 32 -kdfopt digest:SHA2-256 -kdfopt pass:vitrine -kdfopt salt:glass -kdfopt iter:1000 PBKDF2
    openssl mac -digest SHA256 -macopt hexkey:$key -in plain HMAC
    openssl mac -cipher AES-128-CBC -macopt hexkey:${key:0:32} -in plain CMAC
    openssl mac -macopt hexkey:$key -in plain Poly1305
}

compressions() {
    for program in "gzip -1n" "gzip -9n" "bzip2 -1" "bzip2 -9" "xz -0 -T1" "xz -6 -T1"; do
        $program <data >packed
        echo "$program $(stat -c %s packed) $(sha256sum <packed)"
        ${program%% *} -dc <packed | cmp - data && echo "${program%% *} gives it back"
    done
}

scripts() {
    perl parts/sums.pl
    sqlite3 new.db <parts/rows.sql
    sqlite3 new.db 'pragma integrity_check; select count(*), sum(length(name)), total(value) from item;'
}

for part in "$@"; do
    echo "--- $part"
    $part
done
