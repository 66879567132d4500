// SPDX-License-Identifier: BSD-3-Clause

// The headers' own files compile and link: that is the test.
int main() {}
