// `cairn-bench classes`: what the numeric classes of products give in accuracy, as a page and a picture.
#pragma once

#include <string>

namespace cairn::bench {

// FOLDER/numeric-classes.md: errors of products against float64, and losses; FOLDER/numeric-classes.svg: one model trained on one
// text in each class and natively. Run from the root of the sources; about a minute.
void measure_classes(const std::string& folder, int threads);

}  // namespace cairn::bench
