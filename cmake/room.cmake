# SPDX-License-Identifier: Apache-2.0
# What a room, a program and a fuzz target are to the build.

# The outside's headers, compiled once: `hot` for -O2, `cold` for -O1, `test` with GoogleTest. Of the release build only.
function(vitrine_headers target kind)
    if(NOT TARGET vitrine_headers_${kind})
        set(nothing ${PROJECT_BINARY_DIR}/headers_${kind}.cpp)
        file(CONFIGURE OUTPUT ${nothing} CONTENT "")
        add_library(vitrine_headers_${kind} OBJECT EXCLUDE_FROM_ALL ${nothing})
        target_link_libraries(vitrine_headers_${kind} PRIVATE fmt::fmt)
        target_precompile_headers(vitrine_headers_${kind} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/headers.h)
        if(kind STREQUAL "test")
            target_link_libraries(vitrine_headers_${kind} PRIVATE GTest::gtest)
            target_precompile_headers(vitrine_headers_${kind} PRIVATE <gtest/gtest.h>)
        elseif(kind STREQUAL "cold")
            target_compile_options(vitrine_headers_${kind} PRIVATE -O1)
        endif()
    endif()
    target_precompile_headers(${target} REUSE_FROM vitrine_headers_${kind})
endfunction()

# vitrine_room(NAME [COLD] [DEPENDS room...] [SOURCES file...] [TESTS file...] [LIBS library...])
#
# The static library vitrine_NAME (an interface library when the room is headers only), and NAME_test from TESTS. Headers are
# included by room: #include "x86/cpu.h". DEPENDS gives the linker the same floors that tools/floors checks in the text.
# A test program may use no more rooms than its room does. COLD: a guest's instructions never pass here, so that the release build saves its time.
function(vitrine_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "COLD" "" "DEPENDS;SOURCES;TESTS;LIBS")
    if(room_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "vitrine_room(${name}): what is ${room_UNPARSED_ARGUMENTS}?")
    endif()
    if(room_SOURCES)
        add_library(vitrine_${name} STATIC ${room_SOURCES})
        set(scope PUBLIC)
    else()
        add_library(vitrine_${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(vitrine_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
    vitrine_link_rooms(vitrine_${name} ${scope} ${room_DEPENDS})
    target_link_libraries(vitrine_${name} ${scope} ${room_LIBS})
    if(CMAKE_BUILD_TYPE STREQUAL "Release" AND room_SOURCES)
        if(room_COLD)
            target_compile_options(vitrine_${name} PRIVATE -O1)
            vitrine_headers(vitrine_${name} cold)
        else()
            vitrine_headers(vitrine_${name} hot)
        endif()
    endif()

    if(room_TESTS)
        vitrine_test(${name}_test ROOMS ${name} SOURCES ${room_TESTS})
    endif()
endfunction()

# vitrine_test(NAME ROOMS room... SOURCES file... [LIBS library...] [LABELS label...]): a GoogleTest program, one ctest test.
# Tests are not built by default, but by the target "tests".
function(vitrine_test name)
    cmake_parse_arguments(PARSE_ARGV 1 test "" "" "ROOMS;SOURCES;LIBS;LABELS")
    add_executable(${name} EXCLUDE_FROM_ALL ${test_SOURCES})
    add_dependencies(tests ${name})
    vitrine_link_rooms(${name} PRIVATE ${test_ROOMS})
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        vitrine_headers(${name} test)
    endif()
    target_link_libraries(${name} PRIVATE ${test_LIBS} GTest::gtest_main)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
    add_test(NAME ${name} COMMAND ${name})
    # The exit status counts too. A program in which no test passed (all filtered out or skipped, none linked in) has shown nothing.
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "\\[  PASSED  \\] 0 tests" LABELS "${test_LABELS}")
endfunction()

# vitrine_program(NAME ROOMS room... SOURCES file... [LIBS library...]): an executable at the top of the build directory.
function(vitrine_program name)
    cmake_parse_arguments(PARSE_ARGV 1 program "" "" "ROOMS;SOURCES;LIBS")
    add_executable(${name} ${program_SOURCES})
    vitrine_link_rooms(${name} PRIVATE ${program_ROOMS})
    target_link_libraries(${name} PRIVATE ${program_LIBS})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

# vitrine_fuzz(NAME ROOMS room... SOURCES file...): a libFuzzer program; only the fuzz preset builds these.
function(vitrine_fuzz name)
    vitrine_program(${name} ${ARGN})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()

function(vitrine_link_rooms target scope)
    foreach(room ${ARGN})
        if(NOT TARGET vitrine_${room})
            message(FATAL_ERROR "${target} depends on room ${room}, which is not built before it.")
        endif()
        target_link_libraries(${target} ${scope} vitrine_${room})
    endforeach()
endfunction()
