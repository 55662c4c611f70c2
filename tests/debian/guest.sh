# SPDX-License-Identifier: Apache-2.0
# What only the guest does: the root file system written and read, stress-ng's own checks, Python's own tests.

files() {
    findmnt -n -o SOURCE,FSTYPE /
    python3.11 parts/files.py "$PWD/files"
}

stress() {
    # One operation is one of the methods; all have had their turn several times.
    stress-ng --cpu 1 --cpu-method all --cpu-ops 400 --verify 2>&1 | grep -E 'fail|error|warn|completed' | sed 's/.*\] //; s/ in .*//'
}

modules=(test_math test_cmath test_float test_complex test_int test_struct test_array test_decimal test_fractions test_statistics
    test_random test_hashlib test_hmac test_zlib test_gzip test_bz2 test_binascii test_base64 test_json test_re test_unicodedata
    test_sort test_bisect test_heapq test_itertools test_strtod test_numeric_tower)

python() {
    # Without a network: a few modules would try it.
    python3.11 -m test -q "${modules[@]}" 2>&1 | tail -n 40
}

for part in "$@"; do
    echo "--- $part"
    $part
done
