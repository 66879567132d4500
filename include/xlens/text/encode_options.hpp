// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace xlens {

/// How a text becomes tokens.
struct encode_options {
    bool special = false;  ///< strings such as <|endoftext|> are those tokens, not plain text
};
/// How a prompt, or a text that is read window by window, becomes tokens.
struct prompt_options {
    bool special = false;  ///< as encode_options has it
    bool bos = true;       ///< the tokens that the model expects before a text stand before it
};

}  // namespace xlens
