// The families that operators are compiled by. A source that is compiled once a family, with -DCAIRN_FAMILY_name=CAIRN_HERE,
// has the family's files from here; it then includes operators.def, and FAMILY_OPERATOR(struct) is what it makes of each operator
// of the family.
#pragma once

#if defined(CAIRN_FAMILY_indexing)
#include "kernels/ops/indexing.h"
#include "kernels/ops/order.h"
#include "kernels/ops/scan.h"
#elif defined(CAIRN_FAMILY_integers)
#include "kernels/ops/integer.h"
#elif defined(CAIRN_FAMILY_moves)
#include "kernels/ops/move.h"
#include "kernels/ops/view.h"
#elif defined(CAIRN_FAMILY_pointwise)
#include "kernels/ops/activation.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/loss.h"
#elif defined(CAIRN_FAMILY_products)
#include "kernels/ops/matmul.h"
#include "kernels/ops/matmul_int.h"
#elif defined(CAIRN_FAMILY_reductions)
#include "kernels/ops/layer_norm.h"
#include "kernels/ops/nll_loss.h"
#include "kernels/ops/reduce.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/softmax.h"
#elif defined(CAIRN_FAMILY_sequence)
#include "kernels/ops/attention.h"
#include "kernels/ops/recurrent.h"
#elif defined(CAIRN_FAMILY_training)
#include "kernels/ops/optimizer.h"
#include "kernels/ops/random.h"
#elif defined(CAIRN_FAMILY_vision)
#include "kernels/ops/batch_norm.h"
#include "kernels/ops/convolution.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/resample.h"
#endif

#define OPERATOR(family, Op) CAIRN_PICK(CAIRN_FAMILY_##family FAMILY_OPERATOR, CAIRN_NOTHING)(Op)
#define CAIRN_HERE ,
#define CAIRN_PICK(...) CAIRN_SECOND(__VA_ARGS__, )  // a comma more, and what is second is the family's
#define CAIRN_SECOND(first, second, ...) second
#define CAIRN_NOTHING(Op)
