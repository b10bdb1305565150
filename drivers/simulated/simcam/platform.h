/* What differs between POSIX and Windows: locks, threads, clock, sockets, mapped files. */
#ifndef SIMCAM_PLATFORM_H
#define SIMCAM_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
typedef SRWLOCK lock_t;
typedef CONDITION_VARIABLE cond_t;
typedef HANDLE thread_t;
typedef SOCKET socket_t;
#define NO_SOCKET INVALID_SOCKET
#define EXPORT __declspec(dllexport)
#define CALL __stdcall
#else
#include <pthread.h>
typedef pthread_mutex_t lock_t;
typedef pthread_cond_t cond_t;
typedef pthread_t thread_t;
typedef int socket_t;
#define NO_SOCKET (-1)
#define EXPORT __attribute__((visibility("default")))
#define CALL
#endif

#ifdef _MSC_VER
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL __thread
#endif

#define WAIT_FOREVER UINT64_MAX
#define PATH_LENGTH 1024

void lock_init(lock_t *lock);
void lock_take(lock_t *lock);
void lock_drop(lock_t *lock);
void cond_init(cond_t *cond);
void cond_wake_all(cond_t *cond);
/* Returns 0 when woken (spuriously too), 1 when `ms` have passed. */
int cond_wait_ms(cond_t *cond, lock_t *lock, uint64_t ms);

int thread_start(thread_t *thread, void (*run)(void *), void *argument);
void thread_join(thread_t thread);
uint64_t monotonic_ns(void);

int net_init(void);
/* `address` is unix:PATH, or tcp:HOST:PORT:TOKEN, whose token is sent first. NO_SOCKET when nobody listens there. */
socket_t net_connect(const char *address, unsigned timeout_ms);
void net_close(socket_t s);
/* 0 done, -1 closed, refused or `*give_up` became non-zero, -2 nothing within timeout_ms. */
int net_send(socket_t s, const void *data, size_t length);
int net_receive(socket_t s, void *data, size_t length, uint64_t timeout_ms, const volatile int *give_up);
/* Non-zero when the other side has closed; never blocks. */
int net_is_closed(socket_t s);

/* NULL where files cannot be mapped; the caller then asks for pixels over the socket. */
const uint8_t *map_file(const char *path, size_t length);
void unmap_file(const uint8_t *map, size_t length);
int can_map_files(void);
/* The number that the map begins with; what is read before and after it is not moved across by compiler or processor. */
uint32_t map_sequence(const uint8_t *map);

/* An environment variable as it is now, not as it was when the process started; 0 if unset or too long. */
int environment_value(const char *name, char *value, size_t size);

typedef void (*file_visitor)(const char *path, void *context);
void for_each_file(const char *folder, const char *suffix, file_visitor visit, void *context);

#endif
