/* Sends requests over many connections and measures the responses: one thread, one request at a time per connection.

   load PORT CONNECTIONS SECONDS RATE FILE

   SECONDS 0 sends the whole file. RATE 0 sends the next request when a response arrives; any other RATE is in requests
   per second, regardless of pending responses, and latency counts from when a request was due. The file is a sequence of
   chains: a byte with the number of steps, and for each step its length (four bytes, little endian) and the raw request.
   A chain continues while its responses are 2xx; later steps can contain values from earlier responses (see fill).
   Prints one JSON object. LOAD_RETRIES is the number of retries after a 503, each after its Retry-After. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "load_fill.h"
#include "load_times.h"

enum { STEPS_MAX = 8, BUFFER_BYTES = 1 << 16, STATUS_MAX = 600 };
static const double DRAIN_SECONDS = 60;

struct connection {
    int socket, step, steps, status, tries, is_busy;
    const unsigned char *chain, *next; /* the chain's first step, and the step that comes after this one */
    unsigned char request[BUFFER_BYTES];
    size_t request_bytes, got, head, body;
    char response[BUFFER_BYTES + 1];
    char ids[STEPS_MAX][ID_BYTES], reference[REFERENCE_BYTES];
    double due, wakes_at;
};

static struct connection *connections;
static int count, poller, timer_file, retries_max;
static struct sockaddr_in server = {.sin_family = AF_INET};
static const unsigned char *at, *end;
static double started, stops_at, rate, window_end, last_at[STEPS_MAX];
static long issued, statuses[STEPS_MAX][STATUS_MAX], in_window, in_window_good, cut, retries, bare_refusals, busy;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void open_connection(struct connection *c) {
    int on = 1;
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&server, sizeof server)) fail("connect");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event)) fail("epoll_ctl");
}

static void transmit(struct connection *c) {
    c->got = c->head = 0;
    if (send(c->socket, c->request, c->request_bytes, MSG_NOSIGNAL) == (ssize_t)c->request_bytes) return;
    close(c->socket); /* the server has closed the idle connection without reading this */
    open_connection(c);
    if (send(c->socket, c->request, c->request_bytes, MSG_NOSIGNAL) != (ssize_t)c->request_bytes) fail("send");
}

static void take_step(struct connection *c) {
    uint32_t bytes = (uint32_t)c->next[0] | (uint32_t)c->next[1] << 8 | (uint32_t)c->next[2] << 16;
    if (bytes > BUFFER_BYTES) fail("a request is too long");
    memcpy(c->request, c->next + 4, c->request_bytes = bytes);
    c->next += 4 + bytes;
    fill(c->request, c->request_bytes, c->ids, c->reference);
    transmit(c);
}

static const unsigned char *after_chain(const unsigned char *chain) {
    const unsigned char *step = chain + 1;
    for (int i = 0; i < *chain; i++) step += 4 + (step[0] | step[1] << 8 | step[2] << 16);
    return step;
}

/* Starts the next chain on an idle connection, if there is one and it is due. */
static int start_chain(struct connection *c) {
    double moment = now(), due = rate > 0 ? started + (double)issued / rate : moment;
    if (at >= end || due > moment || moment >= stops_at) return 0;
    c->steps = *at, c->next = at + 1, c->step = c->tries = 0, c->due = due, c->is_busy = 1;
    at = after_chain(at);
    issued++, busy++;
    take_step(c);
    return 1;
}

static void record(struct connection *c) {
    double moment = now();
    add_time(moment - c->due);
    /* The text of an unexpected error helps to find its cause. */
    if (c->status >= 400 && !statuses[c->step][c->status]) fprintf(stderr, "%.400s\n", c->response + c->head);
    statuses[c->step][c->status]++;
    if (c->status < 300) last_at[c->step] = moment - started;
    if (moment <= stops_at) {
        in_window++, in_window_good += c->status < 300;
        window_end = moment;
    }
}

static void copy_field(const char *response, const char *name, char *to, size_t bytes) {
    const char *found = strstr(response, name);
    if (found && strlen(found) >= strlen(name) + bytes) memcpy(to, found + strlen(name), bytes);
}

static void finish(struct connection *c) {
    const char *wait = strcasestr(c->response, "\r\nretry-after: ");
    if (c->status == 503 && !wait) bare_refusals++;
    if (c->status == 503 && wait && c->tries < retries_max) {
        c->tries++, retries++;
        c->wakes_at = now() + atof(wait + 15);
        return;
    }
    record(c);
    if (c->status < 300 && c->step + 1 < c->steps) {
        copy_field(c->response + c->head, "\"data\":{\"id\":\"", c->ids[c->step], ID_BYTES);
        copy_field(c->response + c->head, "\"provider_ref\":\"", c->reference, REFERENCE_BYTES);
        c->step++, c->tries = 0;
        c->due = now();
        take_step(c);
        return;
    }
    c->is_busy = 0, busy--;
    start_chain(c);
}

static void read_head(struct connection *c) {
    char *blank = memmem(c->response, c->got, "\r\n\r\n", 4);
    if (!blank) return;
    c->head = (size_t)(blank + 4 - c->response);
    c->status = atoi(c->response + 9);
    char *length = strcasestr(c->response, "\r\ncontent-length: ");
    if (c->status < 100 || c->status >= STATUS_MAX) fail("no HTTP");
    if ((!length || length > blank) && c->status != 304) fail("a response without Content-Length");
    c->body = c->status == 304 ? 0 : strtoul(length + 18, NULL, 10);
}

static void reopen(struct connection *c) {
    close(c->socket);
    open_connection(c);
    if (!c->is_busy || c->wakes_at > 0) return;
    cut++;
    c->is_busy = 0, busy--;
}

static void receive(struct connection *c) {
    /* Only the beginning of a long response is kept. */
    size_t kept = c->got < BUFFER_BYTES ? c->got : BUFFER_BYTES / 2;
    ssize_t bytes = recv(c->socket, c->response + kept, BUFFER_BYTES - kept, 0);
    if (bytes < 0 && errno == EAGAIN) return;
    if (bytes <= 0 || !c->is_busy) {
        reopen(c);
        return;
    }
    c->got += (size_t)bytes;
    if (c->got < BUFFER_BYTES) c->response[c->got] = 0;
    if (!c->head) read_head(c);
    if (c->head && c->got >= c->head + c->body) finish(c);
}

/* The time of the next action that no response triggers. */
static double next_moment(void) {
    double moment = stops_at;
    if (rate > 0 && at < end && busy < count) moment = started + (double)issued / rate;
    if (moment > stops_at) moment = stops_at;
    return retries && moment > now() + 0.01 ? now() + 0.01 : moment;
}

static void set_timer(void) {
    double moment = next_moment();
    if (moment <= now()) moment = now() + (busy < count && now() < stops_at ? 1e-6 : 0.1);
    struct itimerspec when = {.it_value = {(time_t)moment, (long)((moment - (double)(time_t)moment) * 1e9)}};
    timerfd_settime(timer_file, TFD_TIMER_ABSTIME, &when, NULL);
}

static void wake(void) {
    for (int i = 0; retries && i < count; i++) {
        struct connection *c = connections + i;
        if (c->wakes_at > 0 && c->wakes_at <= now()) c->wakes_at = 0, transmit(c);
    }
    for (int i = 0; rate > 0 && busy < count && i < count; i++) {
        if (!connections[i].is_busy && !start_chain(connections + i)) break;
    }
}

static void run(void) {
    struct epoll_event events[256];
    char expirations[8];
    while (now() < stops_at + DRAIN_SECONDS && (busy || (at < end && now() < stops_at))) {
        set_timer();
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) receive(events[i].data.ptr);
            else if (read(timer_file, expirations, 8) != 8) fail("timer");
        }
        wake();
    }
}

static void print_results(double seconds) {
    sort_times();
    printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"issued\": %ld, ", seconds, cpu_seconds(), issued);
    printf("\"window_seconds\": %.6f, \"in_window\": %ld, ", window_end - started, in_window);
    printf("\"in_window_good\": %ld, \"cut\": %ld, \"unanswered\": %ld, ", in_window_good, cut, busy);
    printf("\"retries\": %ld, \"bare_refusals\": %ld, \"left_over\": %d, ", retries, bare_refusals, at < end);
    printf("\"p50\": %.6f, \"p95\": %.6f, ", percentile(0.5), percentile(0.95));
    printf("\"p99\": %.6f, \"steps\": [", percentile(0.99));
    for (int step = 0; step < STEPS_MAX; step++) {
        printf("%s{\"last_good_at\": %.6f", step ? ", " : "", last_at[step]);
        for (int s = 0; s < STATUS_MAX; s++) if (statuses[step][s]) printf(", \"%d\": %ld", s, statuses[step][s]);
        printf("}");
    }
    printf("]}\n");
}

static void open_file(const char *path) {
    struct stat size;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &size)) fail(path);
    at = mmap(NULL, (size_t)size.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (at == MAP_FAILED) fail("mmap");
    end = at + size.st_size;
}

int main(int arguments, char **argument) {
    if (arguments != 6) fail("load PORT CONNECTIONS SECONDS RATE FILE");
    server.sin_port = htons((uint16_t)atoi(argument[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    count = atoi(argument[2]), rate = atof(argument[4]);
    retries_max = getenv("LOAD_RETRIES") ? atoi(getenv("LOAD_RETRIES")) : 0;
    open_file(argument[5]);
    poller = epoll_create1(0);
    timer_file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer_file, &event);
    if (!(connections = calloc((size_t)count, sizeof *connections))) fail("memory");
    for (int i = 0; i < count; i++) open_connection(connections + i);
    started = now();
    stops_at = atof(argument[3]) > 0 ? started + atof(argument[3]) : started + 1e6;
    for (int i = 0; i < count; i++) if (!start_chain(connections + i) && rate <= 0) break;
    run();
    print_results(now() - started);
    return 0;
}
