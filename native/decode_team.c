/* A team of threads for one computation at a time.
 *
 * The caller is its first member, and does the work alone if the others do not come in time: a stage ends when its tasks
 * are done, not when every member has arrived. Members that wait sleep, but for some microseconds between two stages. */
#define _POSIX_C_SOURCE 200809L
#include "decode.h"

#include <stdatomic.h>
#include <string.h>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

#define MEMBERS 64
#define SPINS 300 /* looks before a member sleeps: about 10 µs */

typedef struct {
    mn_task *run;
    void *job;
    const int64_t *counts;
    int64_t stages;
    _Atomic int32_t *taken, *done; /* tasks, stage by stage */
} work;

struct mn_team {
    int64_t threads;
#if !defined(_WIN32)
    pthread_mutex_t in_use, lock;
    pthread_cond_t wake, met, left;
    pthread_t members[MEMBERS];
    const work *now;    /* NULL: nothing to do */
    int64_t rounds;     /* of work given out */
    int64_t inside;     /* members at work, the caller apart */
    _Atomic int64_t asleep; /* between two stages */
    int closing;
#endif
};

static void rest(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int finished(const work *w, int64_t stage)
{
    return atomic_load(&w->done[stage]) >= w->counts[stage];
}

static void await(mn_team *team, const work *w, int64_t stage)
{
    for (int i = 0; i < SPINS; i++) {
        if (finished(w, stage))
            return;
        rest();
    }
#if !defined(_WIN32)
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->asleep, 1);
    while (!finished(w, stage))
        pthread_cond_wait(&team->met, &team->lock);
    atomic_fetch_sub(&team->asleep, 1);
    pthread_mutex_unlock(&team->lock);
#endif
}

static void announce(mn_team *team)
{
#if !defined(_WIN32)
    if (team && atomic_load(&team->asleep)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->met);
        pthread_mutex_unlock(&team->lock);
    }
#endif
}

static void take_part(mn_team *team, const work *w, int64_t member)
{
    for (int64_t stage = 0; stage < w->stages; stage++) {
        int64_t count = w->counts[stage], task;
        while ((task = atomic_fetch_add(&w->taken[stage], 1)) < count) {
            w->run(w->job, stage, task, member);
            if (atomic_fetch_add(&w->done[stage], 1) + 1 == count)
                announce(team);
        }
        if (!finished(w, stage))
            await(team, w, stage);
    }
}

#if !defined(_WIN32)
static void *serve(void *given)
{
    mn_team *team = given;
    int64_t seen = 0, member;
    pthread_mutex_lock(&team->lock);
    for (member = 1; !pthread_equal(team->members[member], pthread_self()); member++) {
    }
    while (!team->closing) {
        if (!team->now || team->rounds == seen) {
            pthread_cond_wait(&team->wake, &team->lock);
            continue;
        }
        const work *w = team->now;
        seen = team->rounds;
        team->inside++;
        pthread_mutex_unlock(&team->lock);
        take_part(team, w, member);
        pthread_mutex_lock(&team->lock);
        if (--team->inside == 0)
            pthread_cond_signal(&team->left);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}
#endif

MN_API int64_t mn_team_size(void) { return sizeof(mn_team); }

/* Returns how many threads there are, the caller's included: fewer than wanted where the system gives no more. */
MN_API int64_t mn_team_init(void *memory, int64_t threads)
{
    mn_team *team = memory;
    memset(team, 0, sizeof *team);
    team->threads = 1;
#if !defined(_WIN32)
    pthread_mutex_init(&team->in_use, NULL);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->met, NULL);
    pthread_cond_init(&team->left, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
    pthread_mutex_lock(&team->lock);             /* until each finds itself among the members */
    while (team->threads < threads && team->threads < MEMBERS &&
           pthread_create(&team->members[team->threads], NULL, serve, team) == 0)
        team->threads++;
    pthread_mutex_unlock(&team->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
    return team->threads;
}

/* Ends the threads; nothing may run. */
MN_API void mn_team_end(void *memory)
{
#if !defined(_WIN32)
    mn_team *team = memory;
    pthread_mutex_lock(&team->lock);
    team->closing = 1;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (int64_t member = 1; member < team->threads; member++)
        pthread_join(team->members[member], NULL);
#else
    (void)memory;
#endif
}

void mn_team_run(mn_team *team, mn_task *run, void *job, const int64_t *counts, int64_t stages, int32_t *marks)
{
    work w = {run, job, counts, stages, (_Atomic int32_t *)marks, (_Atomic int32_t *)marks + stages};
#if !defined(_WIN32)
    /* a second caller works by itself rather than wait */
    if (team && team->threads > 1 && pthread_mutex_trylock(&team->in_use) == 0) {
        pthread_mutex_lock(&team->lock);
        team->now = &w;
        team->rounds++;
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->lock);
        take_part(team, &w, 0);
        pthread_mutex_lock(&team->lock);
        team->now = NULL;
        while (team->inside)
            pthread_cond_wait(&team->left, &team->lock);
        pthread_mutex_unlock(&team->lock);
        pthread_mutex_unlock(&team->in_use);
        return;
    }
#endif
    take_part(NULL, &w, 0);
}
