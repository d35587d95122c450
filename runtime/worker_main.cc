// cairn-worker: runs programs and plans for one job. Holds no keys and no network; started by cairn-agent, cairn and
// cairn-verify, never by hand.
#include "runtime/worker.h"

int main() { return cairn::runtime::worker_main(); }
