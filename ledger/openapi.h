// The node's HTTP interface as OpenAPI 3.1: docs/openapi.json, made from one table of routes and the records' fields().
//
//   cairnd openapi > docs/openapi.json        ctest refuses a file that is not what this prints
#pragma once

#include <string>
#include <vector>

namespace cairn::ledger {

struct RouteParameter {
  enum class In { path, query, header } in;
  enum class Kind { id, number, keys, height, place, flag, state } kind;
  const char* name;
  const char* about;
};

struct Route {
  const char* method;
  const char* path;  // with {NAME} where a path parameter stands
  const char* about;
  std::vector<RouteParameter> parameters;
  const char* body = "";  // the record whose encoding it takes; empty: none
};

const std::vector<Route>& routes();
std::string openapi();

}  // namespace cairn::ledger
