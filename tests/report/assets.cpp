// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE assets
#include <boost/test/unit_test.hpp>

#include <xlens/report/assets.hpp>

#include "support/golden.hpp"
#include "support/outside_reference.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace xlens;

namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_embedded_are_the_files) {
    static_assert(assets::trace_js.starts_with("'use strict';\n"));
    for (const assets::asset& one : assets::all) {
        BOOST_TEST(one.text.size() > 0U, one.path);
        BOOST_TEST(one.text == contents(test::source_path("web") / one.path), one.path);
    }
}

BOOST_AUTO_TEST_CASE(every_file_is_embedded) {
    std::set<std::string> embedded;
    for (const assets::asset& one : assets::all) { embedded.emplace(one.path); }
    BOOST_TEST(embedded.size() == assets::all.size());
    const std::filesystem::path folder = test::source_path("web");
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string path = file.path().lexically_relative(folder).generic_string();
        if (file.is_directory() || path == "README.md" || path == "meson.build") { continue; }
        BOOST_TEST(embedded.contains(path), "web/" << path << ": list it in web/meson.build");
    }
}

BOOST_AUTO_TEST_CASE(no_file_refers_to_anything_outside_its_page) {
    for (const assets::asset& one : assets::all) {
        BOOST_TEST(test::outside_reference(one.text) == "", one.path);
    }
}
