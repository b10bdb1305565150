#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE
#endif
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

void lock_init(lock_t *lock) { InitializeSRWLock(lock); }
void lock_take(lock_t *lock) { AcquireSRWLockExclusive(lock); }
void lock_drop(lock_t *lock) { ReleaseSRWLockExclusive(lock); }
void cond_init(cond_t *cond) { InitializeConditionVariable(cond); }
void cond_wake_all(cond_t *cond) { WakeAllConditionVariable(cond); }

int cond_wait_ms(cond_t *cond, lock_t *lock, uint64_t ms) {
    DWORD wait = ms >= INFINITE ? INFINITE : (DWORD)ms;
    return SleepConditionVariableSRW(cond, lock, wait, 0) ? 0 : 1;
}

uint64_t monotonic_ns(void) {
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    return (uint64_t)((double)ticks.QuadPart * 1e9 / (double)frequency.QuadPart);
}

struct start { void (*run)(void *); void *argument; };

static DWORD WINAPI thread_entry(LPVOID raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    start.run(start.argument);
    return 0;
}

int thread_start(thread_t *thread, void (*run)(void *), void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -1;
    start->run = run;
    start->argument = argument;
    *thread = CreateThread(NULL, 0, thread_entry, start, 0, NULL);
    if (*thread) return 0;
    free(start);
    return -1;
}

void thread_join(thread_t thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

int net_init(void) {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data) == 0 ? 0 : -1;
}

void net_close(socket_t s) { if (s != NO_SOCKET) closesocket(s); }

static void set_blocking(socket_t s, int blocking) {
    u_long mode = blocking ? 0 : 1;
    ioctlsocket(s, FIONBIO, &mode);
}

static int connect_is_pending(void) { return WSAGetLastError() == WSAEWOULDBLOCK; }
static int was_interrupted(void) { return WSAGetLastError() == WSAEINTR; }

const uint8_t *map_file(const char *path, size_t length) { (void)path; (void)length; return NULL; }
void unmap_file(const uint8_t *map, size_t length) { (void)map; (void)length; }
int can_map_files(void) { return 0; }
uint32_t map_sequence(const uint8_t *map) { (void)map; return 0; }
static socket_t connect_to_path(const char *path, unsigned timeout_ms) { (void)path; (void)timeout_ms; return NO_SOCKET; }

int environment_value(const char *name, char *value, size_t size) {
    DWORD length = GetEnvironmentVariableA(name, value, (DWORD)size);
    return length > 0 && length < size;
}

void for_each_file(const char *folder, const char *suffix, file_visitor visit, void *context) {
    char path[PATH_LENGTH];
    WIN32_FIND_DATAA found;
    HANDLE search;
    snprintf(path, sizeof path, "%s\\*%s", folder, suffix);
    search = FindFirstFileA(path, &found);
    if (search == INVALID_HANDLE_VALUE) return;
    do {
        snprintf(path, sizeof path, "%s\\%s", folder, found.cFileName);
        visit(path, context);
    } while (FindNextFileA(search, &found));
    FindClose(search);
}

#else

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void lock_init(lock_t *lock) { pthread_mutex_init(lock, NULL); }
void lock_take(lock_t *lock) { pthread_mutex_lock(lock); }
void lock_drop(lock_t *lock) { pthread_mutex_unlock(lock); }

void cond_init(cond_t *cond) {
#ifdef __APPLE__
    pthread_cond_init(cond, NULL);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* a step of the wall clock must not end a wait */
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
}

void cond_wake_all(cond_t *cond) { pthread_cond_broadcast(cond); }

int cond_wait_ms(cond_t *cond, lock_t *lock, uint64_t ms) {
    const uint64_t ten_years_ms = 315360000000ULL;
    struct timespec until;
    uint64_t ns;
    if (ms > ten_years_ms) return pthread_cond_wait(cond, lock) ? 1 : 0;
#ifdef __APPLE__
    ns = ms * 1000000ULL;
    until.tv_sec = (time_t)(ns / 1000000000ULL);
    until.tv_nsec = (long)(ns % 1000000000ULL);
    return pthread_cond_timedwait_relative_np(cond, lock, &until) == ETIMEDOUT;
#else
    ns = monotonic_ns() + ms * 1000000ULL;
    until.tv_sec = (time_t)(ns / 1000000000ULL);
    until.tv_nsec = (long)(ns % 1000000000ULL);
    return pthread_cond_timedwait(cond, lock, &until) == ETIMEDOUT;
#endif
}

uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

struct start { void (*run)(void *); void *argument; };

static void *thread_entry(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    start.run(start.argument);
    return NULL;
}

int thread_start(thread_t *thread, void (*run)(void *), void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -1;
    start->run = run;
    start->argument = argument;
    if (pthread_create(thread, NULL, thread_entry, start) == 0) return 0;
    free(start);
    return -1;
}

void thread_join(thread_t thread) { pthread_join(thread, NULL); }

int net_init(void) { return 0; }
void net_close(socket_t s) { if (s != NO_SOCKET) close(s); }

static void set_blocking(socket_t s, int blocking) {
    int flags = fcntl(s, F_GETFL, 0);
    fcntl(s, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static int connect_is_pending(void) { return errno == EINPROGRESS; }
static int was_interrupted(void) { return errno == EINTR; }

const uint8_t *map_file(const char *path, size_t length) {
    struct stat status;
    void *map = MAP_FAILED;
    int fd = open(path, O_RDONLY);
    if (fd < 0) return NULL;
    if (fstat(fd, &status) == 0 && (size_t)status.st_size >= length)
        map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

void unmap_file(const uint8_t *map, size_t length) { if (map) munmap((void *)(uintptr_t)map, length); }
int can_map_files(void) { return 1; }

uint32_t map_sequence(const uint8_t *map) {
    uint32_t sequence;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    sequence = __atomic_load_n((const uint32_t *)(const void *)map, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return sequence;
}

int environment_value(const char *name, char *value, size_t size) {
    const char *found = getenv(name);
    if (!found || !*found || strlen(found) >= size) return 0;
    strcpy(value, found);
    return 1;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void for_each_file(const char *folder, const char *suffix, file_visitor visit, void *context) {
    char *names[64], path[PATH_LENGTH];
    size_t count = 0, i, tail = strlen(suffix);
    struct dirent *entry;
    DIR *listing = opendir(folder);
    if (!listing) return;
    while (count < 64 && (entry = readdir(listing)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length <= tail || strcmp(entry->d_name + length - tail, suffix) != 0) continue;
        if ((names[count] = strdup(entry->d_name)) != NULL) count++;
    }
    closedir(listing);
    qsort(names, count, sizeof names[0], compare_names); /* readdir has no order; a device's index must keep */
    for (i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        visit(path, context);
        free(names[i]);
    }
}

#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* Returns above 0 when ready, 0 when not within timeout_ms. */
static int wait_ready(socket_t s, int for_write, unsigned timeout_ms) {
    fd_set set;
    struct timeval wait;
    wait.tv_sec = (long)(timeout_ms / 1000);
    wait.tv_usec = (long)(timeout_ms % 1000) * 1000;
    FD_ZERO(&set);
    FD_SET(s, &set);
    return select((int)s + 1, for_write ? NULL : &set, for_write ? &set : NULL, NULL, &wait);
}

static int try_connect(socket_t s, const struct sockaddr *address, size_t length, unsigned timeout_ms) {
    int error = 0;
    socklen_t size = sizeof error;
    set_blocking(s, 0);
    if (connect(s, address, (socklen_t)length) != 0) {
        if (!connect_is_pending() || wait_ready(s, 1, timeout_ms) <= 0) return -1;
        if (getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &size) != 0 || error != 0) return -1;
    }
    set_blocking(s, 1);
    return 0;
}

#ifndef _WIN32
/* Leaves the socket as no child inherits it, and refuses one that select() cannot watch. */
static socket_t usable(socket_t s) {
    if (s != NO_SOCKET && s >= FD_SETSIZE) {
        net_close(s);
        return NO_SOCKET;
    }
    if (s != NO_SOCKET) fcntl(s, F_SETFD, FD_CLOEXEC);
    return s;
}

static void never_signal(socket_t s) {
#ifdef SO_NOSIGPIPE
    int one = 1;
    setsockopt(s, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#else
    (void)s;
#endif
}

static socket_t connect_to_path(const char *path, unsigned timeout_ms) {
    struct sockaddr_un address;
    socket_t s;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address.sun_path) return NO_SOCKET;
    strcpy(address.sun_path, path);
    if ((s = usable(socket(AF_UNIX, SOCK_STREAM, 0))) == NO_SOCKET) return s;
    if (try_connect(s, (const struct sockaddr *)&address, sizeof address, timeout_ms) != 0) {
        net_close(s);
        return NO_SOCKET;
    }
    never_signal(s);
    return s;
}
#else
static socket_t usable(socket_t s) { return s; }
static void never_signal(socket_t s) { (void)s; }
#endif

static socket_t connect_to_port(const char *host, const char *port, unsigned timeout_ms) {
    struct addrinfo hints, *addresses = NULL, *a;
    socket_t s = NO_SOCKET;
    int one = 1;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &addresses) != 0) return NO_SOCKET;
    for (a = addresses; a && s == NO_SOCKET; a = a->ai_next) {
        s = usable(socket(a->ai_family, a->ai_socktype, a->ai_protocol));
        if (s == NO_SOCKET) continue;
        if (try_connect(s, a->ai_addr, (size_t)a->ai_addrlen, timeout_ms) == 0) break;
        net_close(s);
        s = NO_SOCKET;
    }
    freeaddrinfo(addresses);
    if (s == NO_SOCKET) return s;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
    never_signal(s);
    return s;
}

socket_t net_connect(const char *address, unsigned timeout_ms) {
    char host[64], port[16], token[128];
    socket_t s;
    if (strncmp(address, "unix:", 5) == 0) return connect_to_path(address + 5, timeout_ms);
    if (sscanf(address, "tcp:%63[^:]:%15[^:]:%127s", host, port, token) != 3) return NO_SOCKET;
    s = connect_to_port(host, port, timeout_ms);
    if (s == NO_SOCKET || net_send(s, token, strlen(token)) == 0) return s;
    net_close(s);
    return NO_SOCKET;
}

int net_send(socket_t s, const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        int sent = (int)send(s, at, length > (1U << 20) ? (1 << 20) : (int)length, MSG_NOSIGNAL);
        if (sent < 0 && was_interrupted()) continue;
        if (sent <= 0) return -1;
        at += sent;
        length -= (size_t)sent;
    }
    return 0;
}

int net_receive(socket_t s, void *data, size_t length, uint64_t timeout_ms, const volatile int *give_up) {
    const unsigned slice_ms = 50;
    uint64_t started = monotonic_ns();
    char *at = data;
    while (length > 0) {
        int got, ready;
        if (give_up && *give_up) return -1;
        ready = wait_ready(s, 0, slice_ms);
        if (ready < 0 && !was_interrupted()) return -1;
        if (ready <= 0) {
            if (timeout_ms != WAIT_FOREVER && (monotonic_ns() - started) / 1000000ULL > timeout_ms) return -2;
            continue;
        }
        got = (int)recv(s, at, length > (1U << 24) ? (1 << 24) : (int)length, 0);
        if (got < 0 && was_interrupted()) continue;
        if (got <= 0) return -1;
        at += got;
        length -= (size_t)got;
    }
    return 0;
}

int net_is_closed(socket_t s) {
    char byte;
    if (s == NO_SOCKET) return 1;
    if (wait_ready(s, 0, 0) <= 0) return 0;
    return recv(s, &byte, 1, MSG_PEEK) <= 0;
}
