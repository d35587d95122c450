# Three words to declare what a room holds.
#
#   cairn_library(cairn_base SOURCES codec.cc hash.cc DEPS dep::sodium)
#   cairn_program(cairnd SOURCES main.cc DEPS cairn_ledger dep::cli11)          -> build/PRESET/bin/cairnd
#   cairn_test(codec_test SOURCES codec_test.cc DEPS cairn_base)                -> ctest -R codec_test
#   cairn_test(slow_test TIMEOUT 300 SOURCES ...)
#
# DEPS that are rooms (cairn_*) are passed on to whoever links this target; packages (dep::*) are not: a package's
# headers reach only the targets that name it, so each package keeps its one door.

function(cairn_link target)
  foreach(dep ${ARGN})
    if(dep MATCHES "^dep::")
      target_link_libraries(${target} PRIVATE ${dep})
    else()
      target_link_libraries(${target} PUBLIC ${dep})
    endif()
  endforeach()
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${CAIRN_WARNINGS})
endfunction()

function(cairn_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_library(${name} STATIC ${arg_SOURCES})
  cairn_link(${name} ${arg_DEPS})
endfunction()

function(cairn_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  cairn_link(${name} ${arg_DEPS})
endfunction()

# cairn_protobuf(NAME ROOT FILE.proto...): a library of messages, compiled as somebody else's code is: without our warnings.
function(cairn_protobuf name root)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
  file(MAKE_DIRECTORY ${folder})
  list(TRANSFORM ARGN PREPEND ${root}/ OUTPUT_VARIABLE protos)
  list(TRANSFORM ARGN REPLACE "^(.*)\\.proto$" "${folder}/\\1.pb.cc" OUTPUT_VARIABLE sources)
  list(TRANSFORM ARGN REPLACE "^(.*)\\.proto$" "${folder}/\\1.pb.h" OUTPUT_VARIABLE headers)
  add_custom_command(OUTPUT ${sources} ${headers} DEPENDS ${protos}
    COMMAND protobuf::protoc -I ${root} --cpp_out=${folder} ${protos})
  add_library(${name} STATIC ${sources} ${headers})
  set_target_properties(${name} PROPERTIES COMPILE_WARNING_AS_ERROR OFF)
  target_link_libraries(${name} PRIVATE dep::protobuf)
  target_include_directories(${name} SYSTEM PUBLIC ${folder})
endfunction()

# One program and one line of ctest a file: to start a process for every case would cost more than the cases.
# Runs in the root of the sources, so a test may read configs/ and golden files by their path there. Its label is its
# folder: ctest -L ledger.
function(cairn_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;DEPS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  cairn_link(${name} ${arg_DEPS} dep::gtest)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  get_filename_component(room ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS ${room})
endfunction()
