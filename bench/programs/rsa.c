// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--no-warnings -lcrypto -ldl -lpthread
// A piece of bench/workload: OpenSSL signs and verifies by RSA. The key's primes are those of two published groups for Diffie-Hellman (RFC 2409
// and RFC 3526), so that it is the same everywhere and nobody's secret.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

static EVP_PKEY* key(void) {
    BN_CTX* const ctx = BN_CTX_new();
    BIGNUM *p = BN_get_rfc3526_prime_1536(NULL), *q = BN_get_rfc2409_prime_1024(NULL), *n = BN_new(), *e = BN_new(), *d = BN_new(), *p1 = BN_new(),
           *q1 = BN_new(), *phi = BN_new(), *dp = BN_new(), *dq = BN_new(), *qi = BN_new();
    BN_set_word(e, 65537);
    BN_mul(n, p, q, ctx);
    BN_sub(p1, p, BN_value_one());
    BN_sub(q1, q, BN_value_one());
    BN_mul(phi, p1, q1, ctx);
    if (!BN_mod_inverse(d, e, phi, ctx) || !BN_mod_inverse(qi, q, p, ctx))
        return NULL;
    BN_mod(dp, d, p1, ctx);
    BN_mod(dq, d, q1, ctx);
    OSSL_PARAM_BLD* const build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_FACTOR1, p);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_FACTOR2, q);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_EXPONENT1, dp);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_EXPONENT2, dq);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, qi);
    EVP_PKEY* made = NULL;
    EVP_PKEY_CTX* const from = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (EVP_PKEY_fromdata_init(from) <= 0 || EVP_PKEY_fromdata(from, &made, EVP_PKEY_KEYPAIR, OSSL_PARAM_BLD_to_param(build)) <= 0)
        return NULL;
    return made;
}

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    EVP_PKEY* const rsa = key();
    if (!rsa)
        return 1;
    unsigned sum = 0;
    for (int n = 0; n < 20 * times; ++n) {
        unsigned char signature[512];
        size_t size = sizeof signature;
        EVP_MD_CTX* const ctx = EVP_MD_CTX_new();
        if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, rsa) <= 0 || EVP_DigestSign(ctx, signature, &size, (unsigned char*)&n, sizeof n) <= 0)
            return 1;
        EVP_MD_CTX_reset(ctx);
        for (int again = 0; again < 10; ++again) {
            if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, rsa) <= 0 ||
                EVP_DigestVerify(ctx, signature, size, (unsigned char*)&n, sizeof n) != 1)
                return 1;
            EVP_MD_CTX_reset(ctx);
        }
        EVP_MD_CTX_free(ctx);
        for (size_t i = 0; i < size; ++i)
            sum = sum * 31 + signature[i];
    }
    printf("%08x\n", sum);
}
