// SPDX-License-Identifier: BSD-3-Clause
#include "engine/edit_files.hpp"

#include <xlens/interventions/recipe.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/io/crc32.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <map>
#include <system_error>

namespace xlens::program {

namespace {

edit_file hashed(const std::filesystem::path& path) {
    std::error_code ignored;
    edit_file out{path.string(), std::nullopt};
    const bool once = path == "-" || (std::filesystem::exists(path, ignored) &&
                                      !std::filesystem::is_regular_file(path, ignored));
    if (!once) { out.crc32 = crc32(mapped_file(path).bytes()); }
    return out;
}

/// What the files of edits depend on.
std::string named_by(const edit_flags& edits) {
    std::string out = edits.recipe.value_or("");
    for (const edit_flags::feature& f : edits.features) { out += '\0' + f.sae; }
    for (const edit_flags::steering& s : edits.steers) { out += '\0' + s.file; }
    return out;
}

}  // namespace

recipe recipe_of(const edit_flags& edits) {
    recipe out = edits.recipe ? read_recipe(*edits.recipe) : recipe();
    for (const edit_flags::feature& f : edits.features) {
        out.steps.emplace_back(feature_step{f.sae, f.index, f.value, {}, "--steer-feature"});
    }
    for (const edit_flags::steering& s : edits.steers) {
        out.steps.emplace_back(directions_step{s.file, s.layers, s.strength, {}, "--steer"});
    }
    if (!edits.bans.empty()) { out.steps.emplace_back(ban_step{edits.bans, {}, "--ban"}); }
    return out;
}

const std::vector<edit_file>& files_of(const edit_flags& edits) {
    static std::map<std::string, std::vector<edit_file>> known;
    const auto [at, is_new] = known.try_emplace(named_by(edits));
    if (!is_new) { return at->second; }
    if (edits.recipe) { at->second.push_back(hashed(*edits.recipe)); }
    for (const std::filesystem::path& path : recipe_of(edits).files()) {
        at->second.push_back(hashed(path));
    }
    return at->second;
}

}  // namespace xlens::program
