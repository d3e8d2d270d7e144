/* Fills in values from earlier responses: ids, the provider's reference, and a webhook's signature. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sha256.h"

enum { ID_BYTES = 36, REFERENCE_BYTES = 37 };

static void refuse(const char *why) {
    fprintf(stderr, "load: %s\n", why);
    exit(2);
}

static void sign(const unsigned char *request, size_t bytes, const char *stamp, unsigned char *where) {
    const char *key = getenv("MOCK_WEBHOOK_SECRET");
    const unsigned char *body = memmem(request, bytes, "\r\n\r\n", 4);
    unsigned char digest[32];
    if (!key || strlen(key) > 64 || !body) refuse("MOCK_WEBHOOK_SECRET is missing, or has more than 64 bytes");
    struct sha256 hash;
    hmac_begin(&hash, key, 0x36);
    sha256_add(&hash, stamp, strlen(stamp));
    sha256_add(&hash, ".", 1);
    sha256_add(&hash, body + 4, bytes - (size_t)(body + 4 - request));
    hmac_end(&hash, key, digest);
    for (int i = 0; i < 32; i++) {
        where[2 * i] = (unsigned char)"0123456789abcdef"[digest[i] >> 4];
        where[2 * i + 1] = (unsigned char)"0123456789abcdef"[digest[i] & 15];
    }
}

/* A byte 1 and a character mark a placeholder of the value's width: the id in the response of a step ('0', '1', …), the
   provider's reference ('P'), the time in seconds ('T'), and the signature over time and body ('S'). */
static void fill(unsigned char *request, size_t bytes, char ids[][ID_BYTES], const char *reference) {
    unsigned char *mark = request, *last = mark + bytes, *signature = NULL;
    char stamp[16];
    snprintf(stamp, sizeof stamp, "%ld", (long)time(NULL));
    while ((mark = memchr(mark, 1, (size_t)(last - mark)))) {
        if (mark[1] == 'S') signature = mark;
        else if (mark[1] == 'T') memcpy(mark, stamp, strlen(stamp));
        else if (mark[1] == 'P') memcpy(mark, reference, REFERENCE_BYTES);
        else memcpy(mark, ids[mark[1] - '0'], ID_BYTES);
        mark += mark[1] == 'S' ? 64 : 1;
    }
    if (signature) sign(request, bytes, stamp, signature);
}
