// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for text/ (core/compiled.hpp).
#define XLENS_BUILDING_text 1
#include <xlens/text/end_tokens.hpp>
#include <xlens/text/folder_tokenizer.hpp>
#include <xlens/text/input_lines.hpp>
#include <xlens/text/input_text.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/templates/chat_template.hpp>
#include <xlens/text/templates/conversation.hpp>
#include <xlens/text/templates/prompts.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/tokenizer_json.hpp>
