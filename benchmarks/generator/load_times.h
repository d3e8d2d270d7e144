/* Response times, and the CPU time of the generator. */

#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

static uint32_t *times; /* in microseconds */
static size_t times_count, times_room;

static void add_time(double seconds) {
    if (times_count == times_room) times = realloc(times, (times_room = 2 * times_room + 65536) * sizeof *times);
    if (!times) exit(2);
    times[times_count++] = (uint32_t)(seconds * 1e6);
}

static int by_size(const void *a, const void *b) {
    return (*(const uint32_t *)a > *(const uint32_t *)b) - (*(const uint32_t *)a < *(const uint32_t *)b);
}

static void sort_times(void) {
    if (times_count) qsort(times, times_count, sizeof *times, by_size);
}

/* In seconds. The times must be sorted. */
static double percentile(double share) {
    return times_count ? times[(size_t)((double)(times_count - 1) * share)] / 1e6 : 0;
}

static double cpu_seconds(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double whole = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec);
    return whole + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}
