/* Products in fp32 by vectors that the compiler knows: included by window_sets.h, which says NAME(f), TARGET, VECTOR,
   LANES and ROWS(vectors). */

#define NUMBER float
#define AT_ONCE 1
#define WEIGHTS VECTOR
#define INPUTS VECTOR
#define LOADED(w) (*(const VECTOR *)(w))
#define SPREAD(x) ((VECTOR){0} + *(x))
#define ADD(sums, x, w) sums = sums + (w) * (x)
#define STORE(y, sums) *(VECTOR *)(y) = sums
#include "window_products.h"
