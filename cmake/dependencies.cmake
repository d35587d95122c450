# Every library that is not ours, as one imported target dep::NAME. Two sources and no third:
#
#   Debian packages (scripts/locks/apt.lock)   found by CMake's or pkg-config's own means
#   wheels (scripts/locks/wheels-*.lock)       unpacked by scripts/setup into CAIRN_DEPS; described here by hand, since
#                                              neither find_package(Torch) nor find_package(CUDAToolkit) of CMake 3.25
#                                              can use them
#
#   always            blake3 sodium spdlog yaml microhttpd prometheus json rocksdb protobuf zmq cppzmq cli11 systemd curl
#                     seccomp gtest rapidcheck benchmark
#   CAIRN_RUNTIME     torch_cpu cudart cudart_headers
#   CAIRN_CUDA        cudart_static cublaslt nccl nvml (header only: opened by dlopen); nvcc is then the CUDA compiler
#
# CAIRN_CUDA is set here: on where the CUDA compiler is in CAIRN_DEPS. Nobody sets it by hand.

# ---- Debian packages ----------------------------------------------------------------------------------------------

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(RocksDB REQUIRED)
find_package(Protobuf REQUIRED)
find_package(cppzmq REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(benchmark REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp)

function(dep_from name)
  add_library(dep::${name} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(dep::${name} INTERFACE ${ARGN})
endfunction()

dep_from(sodium PkgConfig::sodium)
dep_from(spdlog spdlog::spdlog)
dep_from(yaml yaml-cpp)
dep_from(microhttpd PkgConfig::microhttpd)
dep_from(prometheus prometheus-cpp::core)
dep_from(json nlohmann_json::nlohmann_json)
dep_from(rocksdb RocksDB::rocksdb-shared)
dep_from(protobuf protobuf::libprotobuf)
dep_from(zmq PkgConfig::zmq)
dep_from(cppzmq cppzmq PkgConfig::zmq)
dep_from(cli11 CLI11::CLI11)
dep_from(systemd PkgConfig::systemd)
dep_from(curl CURL::libcurl)
dep_from(seccomp PkgConfig::seccomp)
dep_from(gtest GTest::gmock GTest::gtest_main Threads::Threads)
dep_from(rapidcheck rapidcheck)
dep_from(benchmark benchmark::benchmark)

# BLAKE3: the official C sources, with SIMD in assembly chosen at run time, lie in Debian's Rust package.
set(blake3 /usr/share/cargo/registry/blake3-1.3.1/c)
add_library(cairn_blake3 STATIC
  ${blake3}/blake3.c ${blake3}/blake3_dispatch.c ${blake3}/blake3_portable.c
  ${blake3}/blake3_sse2_x86-64_unix.S ${blake3}/blake3_sse41_x86-64_unix.S
  ${blake3}/blake3_avx2_x86-64_unix.S ${blake3}/blake3_avx512_x86-64_unix.S)
set_target_properties(cairn_blake3 PROPERTIES COMPILE_WARNING_AS_ERROR OFF)
target_include_directories(cairn_blake3 SYSTEM PUBLIC ${blake3})
add_library(dep::blake3 ALIAS cairn_blake3)

# ---- CometBFT -----------------------------------------------------------------------------------------------------

# Where scripts/setup --comet has built it: bin/cometbft and the .proto files of the same version. Empty: this build is
# without that engine.
if(NOT DEFINED CAIRN_COMET)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/setup --print-comet
                  OUTPUT_VARIABLE CAIRN_COMET OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
if(CAIRN_COMET)
  message(STATUS "CometBFT: ${CAIRN_COMET}")
else()
  message(STATUS "CometBFT: skipped, it is not built (scripts/setup --comet)")
endif()

# ---- Wheels -------------------------------------------------------------------------------------------------------

set(CAIRN_CUDA OFF)
if(NOT CAIRN_RUNTIME)
  return()
endif()

set(CAIRN_DEPS "$ENV{CAIRN_DEPS}" CACHE PATH "Unpacked wheels; empty: asked from scripts/setup")
set(deps ${CAIRN_DEPS})
if(NOT deps)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/setup --print
                  OUTPUT_VARIABLE deps OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
message(STATUS "Wheels: ${deps}")
set(toolkit ${deps}/nvidia/cu13)

# dep_wheel(NAME FILE INCLUDE...): a shared library of the wheels. Its folder becomes part of the programs' rpath.
function(dep_wheel name file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "${file} is missing: run scripts/setup")
  endif()
  add_library(dep::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(dep::${name} PROPERTIES IMPORTED_LOCATION ${file})
  target_include_directories(dep::${name} SYSTEM INTERFACE ${ARGN})
endfunction()

dep_wheel(c10 ${deps}/torch/lib/libc10.so)
dep_wheel(cupti ${toolkit}/lib/libcupti.so.13)
dep_wheel(cudart ${toolkit}/lib/libcudart.so.13 ${toolkit}/include)
# These headers bring their own fmt and protobuf: never in one target with spdlog, fmt or protobuf.
dep_wheel(torch_cpu ${deps}/torch/lib/libtorch_cpu.so
          ${deps}/torch/include ${deps}/torch/include/torch/csrc/api/include)
target_link_libraries(dep::torch_cpu INTERFACE dep::c10 dep::cupti dep::cudart Threads::Threads)

if(NOT EXISTS ${toolkit}/bin/nvcc)
  message(STATUS "CUDA: skipped, no compiler in the wheels (scripts/setup --cuda)")
  return()
endif()
set(CAIRN_CUDA ON)

dep_wheel(cublaslt ${toolkit}/lib/libcublasLt.so.13 ${toolkit}/include)
dep_wheel(nccl ${deps}/nvidia/nccl/lib/libnccl.so.2 ${deps}/nvidia/nccl/include ${toolkit}/include)
add_library(dep::nvml INTERFACE IMPORTED GLOBAL)
target_include_directories(dep::nvml SYSTEM INTERFACE ${toolkit}/include)
add_library(dep::cudart_static STATIC IMPORTED GLOBAL)  # for a program without libtorch; beside libtorch: dep::cudart
set_target_properties(dep::cudart_static PROPERTIES IMPORTED_LOCATION ${toolkit}/lib/libcudart_static.a)
target_include_directories(dep::cudart_static SYSTEM INTERFACE ${toolkit}/include)
target_link_libraries(dep::cudart_static INTERFACE Threads::Threads dl rt)

# A build folder remembers its CUDA compiler for good, and would go on with the wheels of an older lock.
if(DEFINED CACHE{CAIRN_NVCC} AND NOT CAIRN_NVCC STREQUAL ${toolkit}/bin/nvcc)
  message(FATAL_ERROR "The wheels have changed since this folder was configured: cmake --fresh --preset ...")
endif()
set(CAIRN_NVCC ${toolkit}/bin/nvcc CACHE INTERNAL "")
set(CMAKE_CUDA_COMPILER ${CAIRN_NVCC})
set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 100-virtual)  # A100, H100, B200, and PTX for what comes later
set(CMAKE_CUDA_RUNTIME_LIBRARY None)                                # a target names dep::cudart or dep::cudart_static
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)                # CMake 3.25 does not know that nvcc has it
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
