# The rules that every translation unit of ours is compiled by: language, arithmetic, warnings, compiler cache.

# Language: C++20 as written, no compiler's extensions, no scanning for modules.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)  # scripts/check reads it
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release | Debug" FORCE)
endif()
foreach(language C CXX CUDA)
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -DNDEBUG")
  set(CMAKE_${language}_FLAGS_DEBUG "-O1 -g")
endforeach()

# Arithmetic: one defined bit pattern everywhere. No fused multiply-add unless it is written, no fast-math, no
# link-time optimisation (it would compile again what a kernel file was compiled to). scripts/check holds this.
add_compile_options(
  $<$<COMPILE_LANGUAGE:C,CXX>:-ffp-contract=off>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-ffp-contract=off>
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-prec-div=true;-prec-sqrt=true;-ftz=false>")

# Warnings: cairn_library and its kin add them, so that sources of others stay as they are.
# They become errors by CMAKE_COMPILE_WARNING_AS_ERROR, which presets set and a plain `cmake` does not.
set(CAIRN_WARNINGS
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wpedantic$<SEMICOLON>-Wconversion$<SEMICOLON>-Wshadow>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>)

if(CAIRN_SANITIZE)
  add_compile_options(-fsanitize=${CAIRN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CAIRN_SANITIZE})
endif()

# Messages and debug information name files from the root, so two clones make the same bytes.
add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>)

# Compiler cache: shared by all clones of this user (BASEDIR makes paths relative).
find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/setup --print-cache
                  OUTPUT_VARIABLE cache OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  foreach(language C CXX CUDA)
    set(CMAKE_${language}_COMPILER_LAUNCHER
        env CCACHE_DIR=${cache}/ccache CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_MAXSIZE=8G
        ${CCACHE})
  endforeach()
endif()
