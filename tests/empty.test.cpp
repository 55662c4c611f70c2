// SPDX-License-Identifier: Apache-2.0
// A test program without a test: the build must count its run as a failure, so that no empty run can pass anywhere.
