/* The two-stage chain under gate-and-route as a C programmer would write it by hand: the yardstick
 * for the numba kernel. Two choices keep the comparison fair: the same chain with the same
 * statistics (time integrals of all counts, numbers of all events), and a fast generator of C's
 * own choosing (xoshiro256+, Blackman and Vigna 2021). Classes are a compile-time constant in both;
 * gate and router are fixed here, where the kernel looks them up.
 *
 * Build: cc -O3 -march=native -DCLASSES=2 -shared -fPIC chain.c -o chain.so -lm
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { QP, X, QD, YM, YS, STAGES };
enum { ARRIVAL, PREFILLED, SOLO, MIXED, LEAVE_QP, LEAVE_QD, KINDS };

static uint64_t s[4];

static inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline double uniform(void) {
    uint64_t result = s[0] + s[3], t = s[1] << 17;
    s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t; s[3] = rotl(s[3], 45);
    return (double)(result >> 11) * 0x1.0p-53;
}

static void seed_generator(uint64_t seed) {
    for (int k = 0; k < 4; k++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        s[k] = z ^ (z >> 31);
    }
}

/* The decode buffer of one class: a ring of arrival stamps with gaps where somebody left. */
typedef struct { int64_t *place, head, tail, requests, mask; } Line;
static Line line[CLASSES];
static int64_t n[STAGES][CLASSES];
static double area[STAGES][CLASSES], since[STAGES][CLASSES], rate[KINDS][CLASSES];
static const int driven[STAGES] = {LEAVE_QP, PREFILLED, LEAVE_QD, MIXED, SOLO};

static inline void trim(Line *l) {
    while (l->head < l->tail && l->place[l->head & l->mask] < 0) l->head++;
}

static inline void join(Line *l, int64_t stamp) {
    if (l->tail - l->head > l->mask) {
        int64_t mask = 2 * l->mask + 1, *place = malloc((mask + 1) * sizeof *place);
        for (int64_t p = l->head; p < l->tail; p++) place[p & mask] = l->place[p & l->mask];
        free(l->place);
        l->place = place;
        l->mask = mask;
    }
    l->place[l->tail++ & l->mask] = stamp;
    l->requests++;
}

static void leave(Line *l) {
    int64_t p;
    do p = l->head + (int64_t)(uniform() * (double)(l->tail - l->head));
    while (l->place[p & l->mask] < 0);
    l->place[p & l->mask] = -1;
    l->requests--;
    trim(l);
    if (l->tail - l->head > 2 * l->requests + 8) {
        int64_t to = l->head;
        for (p = l->head; p < l->tail; p++)
            if (l->place[p & l->mask] >= 0) l->place[to++ & l->mask] = l->place[p & l->mask];
        l->tail = to;
    }
}

static inline void change(const double unit[KINDS][CLASSES], int stage, int i, int by, double now) {
    area[stage][i] += (double)n[stage][i] * (now - since[stage][i]);
    since[stage][i] = now;
    n[stage][i] += by;
    rate[driven[stage]][i] = unit[driven[stage]][i] * (double)n[stage][i];
}

int64_t run(const double unit[KINDS][CLASSES], const double target[CLASSES],
            const double queue_target[CLASSES], int64_t gpus, int64_t prefill_slots,
            int64_t solo_slots, int64_t mixed_slots, double horizon, uint64_t seed,
            double out_area[STAGES][CLASSES], int64_t out_count[KINDS][CLASSES]) {
    int64_t events = 0, in_prefill = 0, in_solo = 0, in_mixed = 0, in_buffer = 0;
    double now = 0.0;
    seed_generator(seed);
    memset(n, 0, sizeof n); memset(area, 0, sizeof area); memset(since, 0, sizeof since);
    memset(rate, 0, sizeof rate); memset(out_count, 0, sizeof(int64_t) * KINDS * CLASSES);
    for (int i = 0; i < CLASSES; i++) {
        rate[ARRIVAL][i] = unit[ARRIVAL][i];
        line[i] = (Line){malloc(64 * sizeof(int64_t)), 0, 0, 0, 63};
    }
    for (;;) {
        double total = 0.0, level;
        const double *flat = &rate[0][0];
        for (int e = 0; e < KINDS * CLASSES; e++) total += flat[e];
        double next = now - log1p(-uniform()) / total;
        if (next > horizon) break;
        now = next;
        level = uniform() * total;
        int e = 0;
        for (double sum = flat[0]; sum <= level && e < KINDS * CLASSES - 1;) sum += flat[++e];
        int kind = e / CLASSES, i = e % CLASSES, gate = 0, freed = -1;
        out_count[kind][i]++;
        events++;
        switch (kind) {
        case ARRIVAL: change(unit, QP, i, 1, now); gate = 1; break;
        case PREFILLED:
            change(unit, X, i, -1, now);
            in_prefill--;
            if (in_solo < solo_slots) { change(unit, YS, i, 1, now); in_solo++; }
            else if (in_mixed < mixed_slots) { change(unit, YM, i, 1, now); in_mixed++; }
            else { change(unit, QD, i, 1, now); in_buffer++; join(&line[i], events); }
            gate = 1;
            break;
        case SOLO: change(unit, YS, i, -1, now); freed = YS; break;
        case MIXED: change(unit, YM, i, -1, now); freed = YM; break;
        case LEAVE_QP: change(unit, QP, i, -1, now); break;
        default: change(unit, QD, i, -1, now); in_buffer--; leave(&line[i]); break;
        }
        if (gate && in_prefill < prefill_slots) {
            int best = -1;
            double least = INFINITY, least_queue = INFINITY;
            for (int j = 0; j < CLASSES; j++)
                if (n[QP][j] > 0 && target[j] > 0) {
                    double d = (double)n[X][j] / target[j];
                    double q = (double)gpus * queue_target[j] - (double)n[QP][j];
                    if (d < least || (d == least && q < least_queue)) {
                        best = j; least = d; least_queue = q;
                    }
                }
            if (best >= 0) {
                change(unit, QP, best, -1, now);
                change(unit, X, best, 1, now);
                in_prefill++;
            }
        }
        if (freed >= 0) {
            if (in_buffer > 0) {
                int64_t first = INT64_MAX;
                int best = 0;
                for (int j = 0; j < CLASSES; j++)
                    if (line[j].requests > 0 && line[j].place[line[j].head & line[j].mask] < first) {
                        first = line[j].place[line[j].head & line[j].mask];
                        best = j;
                    }
                line[best].head++;
                line[best].requests--;
                trim(&line[best]);
                in_buffer--;
                change(unit, QD, best, -1, now);
                change(unit, freed, best, 1, now);
            } else if (freed == YS) in_solo--;
            else in_mixed--;
        }
    }
    for (int k = 0; k < STAGES; k++)
        for (int i = 0; i < CLASSES; i++)
            out_area[k][i] = area[k][i] + (double)n[k][i] * (horizon - since[k][i]);
    for (int i = 0; i < CLASSES; i++) free(line[i].place);
    return events;
}
