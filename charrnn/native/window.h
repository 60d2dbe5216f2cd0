/* A window under way, as models/kernels/compiled.py hands it over.

   Shapes: T time, B rows, H hidden, G gates x H. An adjoint is the gradient of the loss with respect to h or c. */

#ifndef CHARRNN_WINDOW_H
#define CHARRNN_WINDOW_H

#include "library.h"

typedef struct {
    int64_t cell;   /* RNN, LSTM or GRU */
    int64_t number; /* of what stands as void: 0 fp32, 1 bf16 */
    int64_t steps, rows, hidden;
    void *gates;       /* (T, B, G): the inputs' shares of the gates; behind a step, the gates (of a simple network the
                          shares still); behind the step back, the gradients of the recurrent product */
    const float *bias; /* (G,); GRU (4 H,): of the gates, n's share of the inputs, n's of the recurrent product */
    void *h;           /* (T + 1, B, H) */
    float *memory;     /* LSTM (T + 1, B, H): c; GRU (T, B, H): the recurrent share of n */
    void *product;     /* forwards (B, G): of h and the recurrent weights; back (B, H): the adjoint of h that comes from
                          behind the window, or by step t + 1's product */
    const void *dy;    /* (T, B, H) */
    void *d_projected; /* GRU (T, B, G): the gradients of the inputs' shares; of the others those in `gates` are */
    float *carried;    /* (B, H): LSTM the adjoint of c; GRU what of h's goes by the product; else nothing */
    float *d_bias;     /* as `bias` */
    void *weight;      /* packed (window_products.h), where steps are made with their products */
} Window;

/* Units first to last - 1 of step t. */
typedef struct {
    int64_t t, first, last;
} Part;

typedef void (*Cells)(const Window *window, const Part *part);

/* Have so many threads call function(data): OpenMP's own entry, of the threads that torch has. */
typedef void (*Together)(void (*function)(void *), void *data, unsigned threads, unsigned flags);

#endif
