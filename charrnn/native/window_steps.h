/* Steps of training for one set of instructions: included once for each by window.c, which says TARGET and SET(f). */

#define NUMBER float
#define WIDE wide_fp32
#define NARROW narrow_fp32
#define NAME(f) SET(f##_fp32)
#include "window_cells.h"

#define NUMBER uint16_t
#define WIDE wide_bf16
#define NARROW narrow_bf16
#define NAME(f) SET(f##_bf16)
#include "window_cells.h"

/* By number format, then by cell. */
static const Cells SET(forth)[] = {
    SET(rnn_forth_fp32), SET(lstm_forth_fp32), SET(gru_forth_fp32),
    SET(rnn_forth_bf16), SET(lstm_forth_bf16), SET(gru_forth_bf16),
};
static const Cells SET(back)[] = {
    SET(rnn_back_fp32), SET(lstm_back_fp32), SET(gru_back_fp32),
    SET(rnn_back_bf16), SET(lstm_back_bf16), SET(gru_back_bf16),
};

#undef TARGET
#undef SET
