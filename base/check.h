// CHECK(expression): a bug ends the program, in every build. May be included again, after a library that defines its own.
#undef CHECK
#define CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::cairn::check_failed(#expression, __FILE__, __LINE__))
